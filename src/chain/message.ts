/**
 * Messages as Lotus writes them in JSON and as the chain hashes them in CBOR.
 * CBOR: a tuple of ten; amounts are a sign byte and the big-endian magnitude, zero is the empty string.
 */
import { encode } from '@ipld/dag-cbor';
import type { CID } from 'multiformats/cid';
import { z } from 'zod';
import { addressBytes } from './addresses.ts';
import { blockCid } from './cids.ts';

/** attoFIL (10^-18 FIL) as a decimal string. */
export const AttoFil = z.string().regex(/^(0|[1-9][0-9]{0,38})$/, 'attoFIL as a decimal string');

/** Method numbers of the miner actor. */
export const METHOD = { Send: 0, PreCommitSectorBatch2: 28, ProveCommitSectors3: 34, ProveReplicaUpdates3: 35 } as const;

/** An unsigned message in Lotus' JSON. `Params` is base64. */
export const LotusMessage = z.object({
  Version: z.literal(0),
  To: z.string(),
  From: z.string(),
  Nonce: z.number().int().nonnegative(),
  Value: AttoFil,
  GasLimit: z.number().int().nonnegative(),
  GasFeeCap: AttoFil,
  GasPremium: AttoFil,
  Method: z.number().int().nonnegative(),
  Params: z
    .base64()
    .nullable()
    .transform((params) => params ?? ''),
  CID: z.unknown().optional(),
});
export type LotusMessage = z.infer<typeof LotusMessage>;

/** Signature types of the chain: 1 secp256k1, 2 BLS. */
export const SIGNATURE = { Secp256k1: 1, Bls: 2 } as const;

/** A signed message in Lotus' JSON. `Data` is base64. */
export const LotusSignedMessage = z.object({
  Message: LotusMessage,
  Signature: z.object({ Type: z.union([z.literal(1), z.literal(2)]), Data: z.base64() }),
  CID: z.unknown().optional(),
});
export type LotusSignedMessage = z.infer<typeof LotusSignedMessage>;

/** The CBOR of an unsigned message. */
export function messageCbor(message: LotusMessage): Uint8Array {
  return encode(messageTuple(message));
}

/** The CID of an unsigned message: what a key signs. */
export function messageCid(message: LotusMessage): CID {
  return blockCid(messageCbor(message));
}

/** The CBOR of a signed message: what counts against the mempool's 65,536 bytes. */
export function signedMessageCbor(signed: LotusSignedMessage): Uint8Array {
  const signature = Buffer.from(signed.Signature.Data, 'base64');
  return encode([messageTuple(signed.Message), Uint8Array.from([signed.Signature.Type, ...signature])]);
}

/**
 * The CID under which a signed message is found on chain: of the whole signed message for secp256k1, of
 * the bare message for BLS (whose signatures are aggregated per block).
 */
export function signedMessageCid(signed: LotusSignedMessage): CID {
  return signed.Signature.Type === SIGNATURE.Bls ? messageCid(signed.Message) : blockCid(signedMessageCbor(signed));
}

/** A non-negative amount as the chain's big integer. */
export function amountBytes(attoFil: string): Uint8Array {
  const amount = BigInt(attoFil);
  if (amount === 0n) return new Uint8Array();
  const hex = amount.toString(16);
  return Uint8Array.from([0, ...Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex')]);
}

function messageTuple(message: LotusMessage): unknown[] {
  return [
    message.Version,
    addressBytes(message.To),
    addressBytes(message.From),
    message.Nonce,
    amountBytes(message.Value),
    message.GasLimit,
    amountBytes(message.GasFeeCap),
    amountBytes(message.GasPremium),
    message.Method,
    Uint8Array.from(Buffer.from(message.Params, 'base64')),
  ];
}
