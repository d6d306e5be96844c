/**
 * Commitments as CIDs and as their raw 32 bytes. The bytes before the digest are the same for every commitment of a
 * kind (go-fil-commcid): version 1, codec 0xf101 or 0xf102, hash 0x1012 or 0xb401, 32 bytes; so no library is needed.
 */
import type { Commitment } from './units.ts';

const PREFIX = { unsealed: '0181e203922020', sealed: '0182e20381e80220' } as const;
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567';

/** `unsealed`: CommD or a piece; `sealed`: CommR. */
export type CommitmentKind = keyof typeof PREFIX;

/** Lower-case base32 without padding (RFC 4648) of bytes given as hex digits. */
function base32(hex: string): string {
  let [bits, held, text] = [0, 0, ''];
  for (let at = 0; at < hex.length; at += 2) {
    bits = ((bits & 0xff) << 8) | Number.parseInt(hex.slice(at, at + 2), 16);
    held += 8;
    for (; held >= 5; held -= 5) text += ALPHABET[(bits >> (held - 5)) & 31];
  }
  return held === 0 ? text : text + ALPHABET[(bits << (5 - held)) & 31];
}

/** The commitment of 64 lower-case hex digits with its CID. */
export function commitmentOfHex(kind: CommitmentKind, hex: string): Commitment {
  return { cid: `b${base32(PREFIX[kind] + hex)}`, hex };
}

/** The commitment that a CID names, or undefined when it is not the one spelling of a CID of that kind. */
export function commitmentOfCid(kind: CommitmentKind, cid: string): Commitment | undefined {
  if (!/^b[a-z2-7]{62,64}$/.test(cid)) return undefined;
  let [bits, held, hex] = [0, 0, ''];
  for (const letter of cid.slice(1)) {
    bits = ((bits & 0xff) << 5) | ALPHABET.indexOf(letter);
    held += 5;
    if (held < 8) continue;
    held -= 8;
    hex += ((bits >> held) & 0xff).toString(16).padStart(2, '0');
  }
  const commitment = commitmentOfHex(kind, hex.slice(PREFIX[kind].length));
  return commitment.cid === cid ? commitment : undefined;
}

/** Whether CID and hex digits of a commitment say the same, and both are of that kind. */
export function isCommitmentOf(kind: CommitmentKind, commitment: Commitment): boolean {
  return commitmentOfCid(kind, commitment.cid)?.hex === commitment.hex;
}
