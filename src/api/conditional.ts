/** ETag and If-Match, for what two people may change: who changes what somebody else changed meanwhile is told so. */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import type { Context as Call } from 'hono';
import { z } from 'zod';
import { SealpoolError } from '../schema/problem.ts';
import type { Env } from './parts.ts';

/** The header, for a route's description. */
export const IfMatchHeader = z.object({
  'if-match': z
    .string()
    .max(1_000)
    .optional()
    .describe('The ETag of what the change is meant for; when it was changed meanwhile, nothing is changed and the answer is 412'),
});

/** The tag of a row that counts its changes. */
export const tagOfVersion = (version: number): string => `"${version}"`;

/** The tag of something that has no version: the same for the same content. */
export const tagOfContent = (content: unknown): string => `"${bytesToHex(sha256(utf8ToBytes(JSON.stringify(content)))).slice(0, 32)}"`;

/** Says the tag of what is answered. */
export function tell(c: Call<Env>, tag: string): void {
  c.header('etag', tag);
}

/**
 * Call it in the transaction of the change, with the tag of what is there. Passes without an If-Match, with `*`, and with
 * one that lists the tag; throws 412 `changed_meanwhile` otherwise. Weak tags match nothing (RFC 9110, 13.1.1).
 */
export function refuseChanged(c: Call<Env>, tag: string, what: string): void {
  const wanted = c.req.header('if-match')?.trim();
  if (wanted === undefined || wanted === '*') return;
  if (wanted.split(',').some((one) => one.trim() === tag)) return;
  throw new SealpoolError(
    'precondition_failed',
    'changed_meanwhile',
    `${what} changed since you read it, and nothing was changed by this request; read it again, and send the change with the ETag it has now`,
    { etag: tag },
  );
}
