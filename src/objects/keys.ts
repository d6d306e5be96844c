/** Object keys: made by the control plane only, and checked again before one becomes a path. */
import { isAbsolute, join, relative } from 'node:path';
import { SealpoolError } from '../schema/problem.ts';

const SEGMENT = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/;
const MAX_KEY_LENGTH = 512;

/** Whether `key` is one or more plain segments joined by `/`: no `..`, no empty segment, no hidden name. */
export function isObjectKey(key: string): boolean {
  return key.length <= MAX_KEY_LENGTH && key.split('/').every((segment) => SEGMENT.test(segment) && !segment.includes('..'));
}

/** The key itself. Throws `bad_object_key` for anything that is not a server-made key. */
export function checkedKey(key: string): string {
  if (!isObjectKey(key)) throw badKey(key);
  return key;
}

/** The file of an object below `root`. Throws `bad_object_key` for anything that is not a server-made key. */
export function objectPath(root: string, key: string): string {
  const path = join(root, key);
  const inside = relative(root, path);
  if (!isObjectKey(key) || inside.startsWith('..') || isAbsolute(inside)) throw badKey(key);
  return path;
}

function badKey(key: string): SealpoolError {
  return new SealpoolError(
    'bad_request',
    'bad_object_key',
    `${JSON.stringify(key.slice(0, 80))} is not an object key; keys are plain segments joined by "/", made by the control plane`,
  );
}

/** Upload ids name folders, so they are checked like keys. */
export function isUploadId(id: string): boolean {
  return /^[0-9a-f]{32}$/.test(id);
}
