/**
 * secp256k1 signatures of messages: over blake2b-256 of the unsigned message's CID bytes, as
 * r ‖ s ‖ recovery id (65 bytes).
 */
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { blake2b } from '@noble/hashes/blake2.js';
import { secp256k1Address } from '../chain/addresses.ts';
import { type LotusMessage, type LotusSignedMessage, messageCid, SIGNATURE } from '../chain/message.ts';

/** Signs a message with a key of 32 bytes. */
export function signMessage(message: LotusMessage, privateKey: Uint8Array): LotusSignedMessage {
  const recovered = secp256k1.sign(digest(message), privateKey, { prehash: false, format: 'recovered' });
  // The library puts the recovery id first, the chain last.
  const data = Buffer.concat([recovered.subarray(1), recovered.subarray(0, 1)]);
  return { Message: message, Signature: { Type: SIGNATURE.Secp256k1, Data: data.toString('base64') } };
}

/** The `t1…` address whose key made the signature, or `undefined` when it is none. */
export function signerOf(signed: LotusSignedMessage): string | undefined {
  const data = Buffer.from(signed.Signature.Data, 'base64');
  if (signed.Signature.Type !== SIGNATURE.Secp256k1 || data.length !== 65) return undefined;
  try {
    const recovered = Uint8Array.from([data[64] as number, ...data.subarray(0, 64)]);
    const compressed = secp256k1.recoverPublicKey(recovered, digest(signed.Message), { prehash: false });
    return secp256k1Address(secp256k1.Point.fromBytes(compressed).toBytes(false));
  } catch {
    return undefined;
  }
}

function digest(message: LotusMessage): Uint8Array {
  return blake2b(messageCid(message).bytes, { dkLen: 32 });
}
