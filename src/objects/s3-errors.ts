/**
 * What an S3 endpoint refused or failed, put into our own refusals. Only names, statuses and request ids are told on:
 * the endpoint's sentences repeat access keys and what was signed, and the SDK's errors hold the whole exchange.
 */
import { SealpoolError } from '../schema/problem.ts';

/** What is looked at of an error: the SDK's, or a failed connection's. */
export type S3Failure = { readonly name: string; readonly status: number | undefined; readonly requestId: string | undefined };

const FULL: ReadonlySet<string> = new Set(['InsufficientStorage', 'QuotaExceeded', 'XMinioStorageFull', 'EntityQuotaExceeded']);
const REFUSED: ReadonlySet<string> = new Set([
  'AccessDenied',
  'InvalidAccessKeyId',
  'SignatureDoesNotMatch',
  'AuthorizationHeaderMalformed',
  'RequestTimeTooSkewed',
  'ExpiredToken',
  'AllAccessDisabled',
  // versitygw's, with status 404.
  'XAdminUserNotFound',
]);

/** The name the endpoint gave its refusal, or that of the system call that failed. */
export function failureOf(error: unknown): S3Failure {
  const {
    name,
    code,
    $metadata: meta,
  } = (error ?? {}) as { name?: unknown; code?: unknown; $metadata?: { httpStatusCode?: number; requestId?: string } };
  const told = meta?.httpStatusCode === undefined && typeof code === 'string' ? code : name;
  return { name: word(told), status: meta?.httpStatusCode, requestId: meta?.requestId === undefined ? undefined : word(meta.requestId) };
}

/** Whether it does not let these keys do that. */
export function isRefusal(error: unknown): boolean {
  const { name, status } = failureOf(error);
  return status === 401 || status === 403 || REFUSED.has(name);
}

/** Whether the upload is unknown there: completed, aborted, or never opened. */
export function isNoSuchUpload(error: unknown): boolean {
  return failureOf(error).name === 'NoSuchUpload';
}

/** Whether there is no such object. A missing bucket is no answer about an object; only to a HEAD it looks like one. */
export function isNoSuchObject(error: unknown): boolean {
  const { name, status } = failureOf(error);
  return status === 404 && name !== 'NoSuchBucket' && name !== 'NoSuchUpload' && !isRefusal(error);
}

/** Whether somebody else's object, or one being made at the same moment, stands under the key. */
export function isTaken(error: unknown): boolean {
  const { name, status } = failureOf(error);
  return status === 412 || name === 'PreconditionFailed' || name === 'ConditionalRequestConflict';
}

/** The error as the control plane knows it: of its own (status 5xx), so that no runner is blamed for it. */
export function s3Error(error: unknown, doing: string): SealpoolError {
  if (error instanceof SealpoolError) return error;
  const failure = failureOf(error);
  const { name, status, requestId } = failure;
  const about = `${name}${status === undefined ? '' : `, status ${status}`}${requestId === undefined ? '' : `, its request ${requestId}`}`;
  if (status === 507 || FULL.has(name)) {
    return new SealpoolError(
      'storage_full',
      'storage_full',
      `the S3 endpoint has no room (${about}) for ${doing}, so nothing was stored; free space or raise the quota there, it is tried again by itself`,
    );
  }
  if (name === 'NoSuchBucket') {
    return new SealpoolError(
      'unavailable',
      'object_store_refused',
      `the S3 endpoint knows no such bucket (${about}, ${doing}); make it, or set objects.s3.bucket to one that is there`,
    );
  }
  if (isRefusal(error)) {
    return new SealpoolError(
      'unavailable',
      'object_store_refused',
      `the S3 endpoint refused ${doing} (${about}); check objects.s3.access_key and secret_key, what they may do in the bucket, and the clock`,
    );
  }
  return new SealpoolError(
    'unavailable',
    'object_store_unavailable',
    `the S3 endpoint failed ${doing} (${about}); it is tried again by itself, check the endpoint and the network to it if it stays so`,
  );
}

/** A name as endpoints and Node spell them; anything else could be any text. */
function word(value: unknown): string {
  return typeof value === 'string' && /^[A-Za-z0-9_.:/+=-]{1,80}$/.test(value) ? value : 'unknown';
}
