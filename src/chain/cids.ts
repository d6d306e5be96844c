/**
 * Commitment CIDs and their raw 32 bytes.
 * CommD and pieces: codec fil-commitment-unsealed 0xf101, multihash sha2-256-trunc254-padded 0x1012.
 * CommR: codec fil-commitment-sealed 0xf102, multihash poseidon-bls12_381-a2-fc1 0xb401.
 */
import { blake2b } from '@noble/hashes/blake2.js';
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import { CID } from 'multiformats/cid';
import { create as createDigest } from 'multiformats/hashes/digest';

const UNSEALED = { codec: 0xf101, multihash: 0x1012 } as const;
const SEALED = { codec: 0xf102, multihash: 0xb401 } as const;
const DAG_CBOR = 0x71;
const BLAKE2B_256 = 0xb220;

/** CommD, CommR or the commitment of a piece. */
export type CommitmentKind = 'unsealed' | 'sealed';

/** The CID of a raw commitment of 64 hex digits. */
export function commitmentCid(kind: CommitmentKind, hex: string): CID {
  if (!/^[0-9a-f]{64}$/.test(hex)) throw new RangeError(`a commitment is 64 hex digits, not ${JSON.stringify(hex)}`);
  const { codec, multihash } = kind === 'sealed' ? SEALED : UNSEALED;
  return CID.createV1(codec, createDigest(multihash, hexToBytes(hex)));
}

/** Whether a CID has exactly the prefix (version, codec, hash, 32 bytes) of that kind of commitment. */
export function isCommitment(kind: CommitmentKind, cid: CID): boolean {
  const { codec, multihash } = kind === 'sealed' ? SEALED : UNSEALED;
  return cid.version === 1 && cid.code === codec && cid.multihash.code === multihash && cid.multihash.size === 32;
}

/** The 64 hex digits of a commitment CID. Throws `RangeError` for a CID of another kind. */
export function commitmentHex(kind: CommitmentKind, cid: string | CID): string {
  const parsed = typeof cid === 'string' ? CID.parse(cid) : cid;
  if (!isCommitment(kind, parsed)) {
    throw new RangeError(
      `${parsed} is not the CID of ${kind === 'sealed' ? 'a CommR' : 'a CommD or a piece'}; check which commitment was meant`,
    );
  }
  return bytesToHex(parsed.multihash.digest);
}

/** A commitment written as a CID or as 64 hex digits, as a CID. */
export function anyCommitment(kind: CommitmentKind, text: string): CID {
  if (/^[0-9a-f]{64}$/.test(text)) return commitmentCid(kind, text);
  return commitmentCid(kind, commitmentHex(kind, text));
}

/** The CID Filecoin gives to a block of DAG-CBOR: version 1, dag-cbor, blake2b-256. */
export function blockCid(bytes: Uint8Array): CID {
  return CID.createV1(DAG_CBOR, createDigest(BLAKE2B_256, blake2b(bytes, { dkLen: 32 })));
}
