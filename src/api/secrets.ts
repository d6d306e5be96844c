/** Bearer secrets: made from 32 random bytes, told once, kept as SHA-256. The prefix says which kind it is. */
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import type { Ids } from '../scheduler/ports.ts';

const PREFIX = { api: 'sp-api-', runner: 'sp-run-', join: 'sp-join-' } as const;
export type SecretKind = keyof typeof PREFIX;

/** A new secret and the hash that is stored of it. */
export function newSecret(ids: Ids, kind: SecretKind): { secret: string; hash: string } {
  const secret = PREFIX[kind] + ids.hex(32);
  return { secret, hash: hashSecret(secret) };
}

/** The secret that follows another one, and its hash: the same each time, and made by nobody who does not have the other one. */
export function secretAfter(secret: string, kind: SecretKind, seed: string): { secret: string; hash: string } {
  const next = PREFIX[kind] + bytesToHex(hmac(sha256, utf8ToBytes(secret), utf8ToBytes(seed)));
  return { secret: next, hash: hashSecret(next) };
}

/** SHA-256 of a secret, 64 hex digits. */
export function hashSecret(secret: string): string {
  return bytesToHex(sha256(utf8ToBytes(secret)));
}

/** The kind a presented secret claims to be; undefined: none of ours. */
export function secretKind(secret: string): SecretKind | undefined {
  return (Object.keys(PREFIX) as SecretKind[]).find((kind) => secret.startsWith(PREFIX[kind]));
}

/** Compares two hashes in a time that depends on their length only. */
export function sameHash(one: string, other: string): boolean {
  if (one.length !== other.length) return false;
  let differing = 0;
  for (let at = 0; at < one.length; at += 1) differing |= one.charCodeAt(at) ^ other.charCodeAt(at);
  return differing === 0;
}
