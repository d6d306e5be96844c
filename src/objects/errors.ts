/** Refusals of the object store, and disk errors put into sentences. */
import { SealpoolError } from '../schema/problem.ts';

/** The errno name of a failed system call, or `undefined` for any other error. */
export function errnoOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : undefined;
}

/** Turns a full disk or quota into `storage_full`; everything else comes back as it was. */
export function diskError(error: unknown, folder: string): unknown {
  const code = errnoOf(error);
  if (code !== 'ENOSPC' && code !== 'EDQUOT') return error;
  return storageFull(folder);
}

/** The object store's disk has no room. Nothing of the refused write stays. */
export function storageFull(folder: string): SealpoolError {
  return new SealpoolError(
    'storage_full',
    'storage_full',
    `the disk of the object store (${folder}) is full, so nothing was stored; free space there or move the data folder to a larger disk, the transfer is tried again by itself`,
  );
}

export function noSuchObject(): SealpoolError {
  return new SealpoolError(
    'not_found',
    'no_such_object',
    'there is no object under this URL; it was deleted or never completed, ask for a new grant',
  );
}

export function noSuchUpload(): SealpoolError {
  return new SealpoolError('not_found', 'no_such_upload', 'this upload is not open; it was completed or aborted, ask for a new grant');
}

export function objectExists(key: string): SealpoolError {
  return new SealpoolError(
    'conflict',
    'object_exists',
    `object ${key} exists already and objects never change; use a key of a new attempt`,
  );
}

export function tooLarge(what: string, limitBytes: number): SealpoolError {
  return new SealpoolError('too_large', 'too_large', `${what} is larger than the ${limitBytes} bytes it may have; send no more than that`);
}
