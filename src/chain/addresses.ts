/** Filecoin addresses: text and bytes. The network letter (`t` or `f`) is display only. */
import { type IAddress, fromBytes, fromPublicKey, fromString } from 'iso-filecoin/address';

/** The actor id of `t01000` or `f01000`. Throws `RangeError` for any other kind of address. */
export function actorId(address: string): bigint {
  const match = /^[tf]0(0|[1-9][0-9]{0,19})$/.exec(address);
  const id = match === null ? -1n : BigInt(match[1] as string);
  if (id < 0n || id >= 1n << 63n) {
    throw new RangeError(`${address} is not an ID address; write the miner as t01000 or f01000`);
  }
  return id;
}

/** Unsigned LEB128 of `value`. */
export function leb128(value: bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  do {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    bytes.push(rest > 0n ? low | 0x80 : low);
  } while (rest > 0n);
  return Uint8Array.from(bytes);
}

/** The bytes of an address as they stand in messages: protocol, then payload. Throws on a bad checksum. */
export function addressBytes(address: string): Uint8Array {
  // Ids above 2^53 are legal on chain, and this is the one form that needs no library for them.
  if (/^[tf]0/.test(address)) return Uint8Array.from([0, ...leb128(actorId(address))]);
  return fromString(address).toBytes();
}

/** The text of address bytes with the letter `t`. */
export function addressText(bytes: Uint8Array): string {
  if (bytes[0] === 0) {
    let id = 0n;
    for (let at = bytes.length - 1; at >= 1; at--) id = (id << 7n) | BigInt((bytes[at] as number) & 0x7f);
    const text = `t0${id}`;
    if (Buffer.compare(addressBytes(text), bytes) !== 0) throw new RangeError('an ID address is one minimal LEB128 number');
    return text;
  }
  return testnetText(fromBytes(bytes, 'testnet'));
}

/** The `t1…` address of an uncompressed (65-byte) or compressed secp256k1 public key. */
export function secp256k1Address(publicKey: Uint8Array): string {
  return testnetText(fromPublicKey(publicKey, 'testnet', 'SECP256K1'));
}

/** One spelling for comparing: `f01000` and `t01000` are the same actor. */
export function sameAddress(a: string, b: string): boolean {
  return a.slice(1) === b.slice(1);
}

function testnetText(address: IAddress): string {
  return `t${address.toString().slice(1)}`;
}
