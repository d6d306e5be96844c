/** Single values as lotus, damocles, Curio and people write them, read into ours. What cannot be read refuses its row. */
import { type CommitmentKind, commitmentOfCid, commitmentOfHex } from '../schema/commitment-cid.ts';
import { MinerId } from '../schema/ids.ts';
import { SealProof, sealProofInfo } from '../schema/seal-proof.ts';
import type { Commitment } from '../schema/units.ts';

/** One row or entry cannot be taken; its message says why and what to do. The others go on. */
export class RowRefused extends Error {}

/** What an import assumes where the source does not say it. */
export type ParseOptions = {
  /** The miner: named for sources without one, compared in the others. */
  readonly miner?: MinerId | undefined;
  /** Network prefix for sources that number their miners; `miner` has the last word. */
  readonly prefix: 't' | 'f';
  readonly sealProof?: SealProof | undefined;
  /** Where the files are: the id of a storage path and its folder. */
  readonly storage?: { readonly storage: string; readonly root: string } | undefined;
};

const BY_NUMBER = new Map<number, SealProof>(SealProof.options.map((name) => [sealProofInfo(name).number, name]));

/** How an absent value is printed by Go, SQL and people. */
const ABSENT = new Set(['', '<nil>', 'null', 'NULL', 'b', '\\N']);

/** Whether the source leaves this value out. */
export function isAbsent(value: unknown): boolean {
  return value === undefined || value === null || (typeof value === 'string' && ABSENT.has(value.trim()));
}

/** A value as it may stand in a sentence: short, without control characters. */
export function quoted(value: unknown): string {
  const text = typeof value === 'string' ? value : typeof value === 'object' && value !== null ? shown(value) : String(value);
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}

function shown(value: object): string {
  try {
    return JSON.stringify(value);
  } catch {
    return 'a value nested too deeply to show';
  }
}

/** A whole number of 0 … 2^53 − 1. */
export function wholeNumber(value: unknown, what: string): number {
  const number = typeof value === 'string' && /^[0-9]{1,16}$/.test(value.trim()) ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isSafeInteger(number) || number < 0)
    throw new RowRefused(`${what} is ${quoted(value)}; it must be a whole number from 0 to ${Number.MAX_SAFE_INTEGER}`);
  return number;
}

function digits(bytes: ArrayLike<number>): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function ofBase64(text: string): string | undefined {
  if (!/^[A-Za-z0-9+/]{43}=$/.test(text)) return undefined;
  return digits(Array.from(atob(text), (letter) => letter.charCodeAt(0)));
}

/** 64 hex digits of 32 bytes: hex, `\x…`, base64, or numbers, as Go's `[]byte` and `[32]byte` are printed. Undefined: none of these. */
export function hexOf(value: unknown): string | undefined {
  if (value instanceof Uint8Array) return value.length === 32 ? digits(value) : undefined;
  if (Array.isArray(value)) {
    const bytes = value.length === 32 && value.every((byte) => Number.isInteger(byte) && byte >= 0 && byte <= 255);
    return bytes ? digits(value as number[]) : undefined;
  }
  if (typeof value !== 'string') return undefined;
  const text = value.trim();
  const hex = /^(?:0x|\\x)?([0-9a-f]{64})$/i.exec(text)?.[1];
  return hex?.toLowerCase() ?? ofBase64(text);
}

/** The ticket, or null when the source has neither value nor epoch. */
export function ticketOf(value: unknown, epoch: unknown): { epoch: number; value: string | null } | null {
  const none = isAbsent(value) || value === '\\x' || (value instanceof Uint8Array && value.length === 0);
  if (none && isAbsent(epoch)) return null;
  if (isAbsent(epoch)) throw new RowRefused('it has a ticket without its epoch; add the epoch, without it the ticket cannot be checked');
  const hex = none ? null : hexOf(value);
  if (hex === undefined) throw new RowRefused(`its ticket is ${quoted(value)}; it must be 32 bytes in hex or base64`);
  return { epoch: wholeNumber(epoch, 'its ticket epoch'), value: hex };
}

/** The CID of `{"/": cid}` as IPLD writes links in JSON, or the text itself. */
function linked(value: unknown): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, '/') ? (value as Record<string, unknown>)['/'] : value;
}

/** A CommR, CommD or piece commitment as a CID, a link, or raw bytes. */
export function commitmentOf(kind: CommitmentKind, value: unknown, what: string): Commitment {
  const given = linked(value);
  const byCid = typeof given === 'string' ? commitmentOfCid(kind, given.trim()) : undefined;
  if (byCid !== undefined) return byCid;
  const hex = hexOf(given);
  if (hex !== undefined) return commitmentOfHex(kind, hex);
  const wanted = kind === 'sealed' ? 'a CID that begins with bagboea4b5ab' : 'a CID that begins with baga6ea4seaq';
  throw new RowRefused(`${what} is ${quoted(given)}; it must be ${wanted}, or its 32 bytes in hex`);
}

/** The CID of a chain message, or null where the source has none. */
export function messageOf(value: unknown, what: string): string | null {
  const given = linked(value);
  if (isAbsent(given)) return null;
  const text = typeof given === 'string' ? given.trim() : '';
  if (/^(?:b[a-z2-7]{50,120}|Qm[1-9A-HJ-NP-Za-km-z]{44})$/.test(text)) return text;
  throw new RowRefused(`${what} is ${quoted(given)}; it must be the CID of a message, or be left out`);
}

/** The miner of a row: `t01000`, `f01000`, `1000`, or the one that the import names. */
export function minerOf(value: unknown, options: ParseOptions): MinerId {
  if (isAbsent(value)) {
    if (options.miner !== undefined) return options.miner;
    throw new RowRefused('the file does not say which miner it is of; name it with --miner t01000');
  }
  const found = /^(?:([tf])0)?(0|[1-9][0-9]{0,18})$/.exec(String(value).trim());
  if (found === null) throw new RowRefused(`its miner is ${quoted(value)}; it must be written like t01000`);
  const id = found[2] as string;
  if (options.miner === undefined) return MinerId.parse(`${found[1] ?? options.prefix}0${id}`);
  if (options.miner.slice(2) === id) return options.miner;
  throw new RowRefused(
    `it is of miner ${found[1] ?? options.prefix}0${id} and --miner names ${options.miner}; leave --miner out to take both`,
  );
}

/** The seal proof by its name, by its number on chain, or as the import names it. */
export function sealProofOf(value: unknown, options: ParseOptions): SealProof {
  if (isAbsent(value)) {
    if (options.sealProof !== undefined) return options.sealProof;
    throw new RowRefused('its seal proof is not told; name it with --seal-proof, e.g. StackedDrg32GiBV1_1');
  }
  const byName = SealProof.safeParse(typeof value === 'string' ? value.trim().replace(/^RegisteredSealProof_/, '') : value);
  if (byName.success) return byName.data;
  const byNumber = BY_NUMBER.get(Number(value));
  if (byNumber !== undefined) return byNumber;
  throw new RowRefused(
    `its seal proof is ${quoted(value)}; Sealpool handles the registered proofs 5 to 14 (V1_1, and V1_1 with synthetic PoRep), so leave this sector where it is`,
  );
}
