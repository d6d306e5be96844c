/** Our encodings and derivations against the official ones. */
import { readFileSync } from 'node:fs';
import { CID } from 'multiformats/cid';
import { describe, expect, test } from 'vitest';
import { actorId, addressBytes } from '../../src/chain/addresses.ts';
import { commitmentCid, commitmentHex } from '../../src/chain/cids.ts';
import { commDOfPieces } from '../../src/chain/comm-d.ts';
import { proverId, randomnessEntropy, randomnessFromDigest } from '../../src/chain/derivations.ts';
import { LotusMessage, messageCbor, messageCid } from '../../src/chain/message.ts';
import {
  decodeActivationReturn,
  decodePreCommitSectorBatch2,
  decodeProveCommitSectors3,
  decodeProveReplicaUpdates3,
} from '../../src/chain/params-decode.ts';
import {
  encodeActivationReturn,
  encodePreCommitSectorBatch2,
  encodeProveCommitSectors3,
  encodeProveReplicaUpdates3,
  type PieceManifest,
} from '../../src/chain/params.ts';

// The vectors are JSON of mixed shapes, read as they are.
type Vector = Record<string, any>;
const read = (name: string): Vector[] =>
  readFileSync(new URL(`./vectors/${name}`, import.meta.url), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Vector);
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
const unhex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));

const piece = (vector: Vector): PieceManifest => ({
  cid: CID.parse(vector['cid']),
  paddedSizeBytes: vector['size'],
  allocation: null,
  notify: [],
});

describe('chain-params.jsonl', () => {
  const vectors = read('chain-params.jsonl');
  const find = (method: string): Vector => vectors.find((vector) => vector['method'] === method) as Vector;

  test('all four kinds are there', () => expect(vectors).toHaveLength(4));

  test('PreCommitSectorBatch2, both ways', () => {
    const vector = find('PreCommitSectorBatch2');
    const cbor = encodePreCommitSectorBatch2(
      vector['value'].sectors.map((sector: Vector) => ({
        sealProof: sector['seal_proof'],
        sectorNumber: sector['sector_number'],
        commR: CID.parse(sector['sealed_cid']),
        sealRandEpoch: sector['seal_rand_epoch'],
        expiration: sector['expiration'],
        commD: sector['unsealed_cid'] === null ? null : CID.parse(sector['unsealed_cid']),
      })),
    );
    expect(base64(cbor)).toBe(vector['params']);
    expect(base64(encodePreCommitSectorBatch2(decodePreCommitSectorBatch2(cbor)))).toBe(vector['params']);
  });

  test('ProveCommitSectors3, both ways', () => {
    const vector = find('ProveCommitSectors3');
    const { value } = vector;
    const cbor = encodeProveCommitSectors3({
      sectors: value.sector_activations.map((sector: Vector) => ({
        sectorNumber: sector['sector_number'],
        pieces: sector['pieces'].map(piece),
      })),
      proofs: value.sector_proofs.map(unhex),
      aggregateProof: unhex(value.aggregate_proof),
      aggregateType: value.aggregate_proof_type,
      requireActivationSuccess: value.require_activation_success,
      requireNotificationSuccess: value.require_notification_success,
    });
    expect(base64(cbor)).toBe(vector['params']);
    expect(base64(encodeProveCommitSectors3(decodeProveCommitSectors3(cbor)))).toBe(vector['params']);
  });

  test('ProveReplicaUpdates3, both ways', () => {
    const vector = find('ProveReplicaUpdates3');
    const { value } = vector;
    const cbor = encodeProveReplicaUpdates3({
      updates: value.sector_updates.map((update: Vector) => ({
        sectorNumber: update['sector'],
        deadline: update['deadline'],
        partition: update['partition'],
        newCommR: CID.parse(update['new_sealed_cid']),
        pieces: update['pieces'].map(piece),
      })),
      proofs: value.sector_proofs.map(unhex),
      updateType: value.update_proofs_type,
      requireActivationSuccess: value.require_activation_success,
      requireNotificationSuccess: value.require_notification_success,
    });
    expect(base64(cbor)).toBe(vector['params']);
    const decoded = decodeProveReplicaUpdates3(Uint8Array.from(Buffer.from(vector['params'], 'base64')));
    expect(base64(encodeProveReplicaUpdates3(decoded))).toBe(vector['params']);
    expect(decoded).toMatchObject({ aggregateProof: unhex(value.aggregate_proof), aggregateType: value.aggregate_proof_type });
    expect(decoded.updates).toMatchObject(
      value.sector_updates.map((update: Vector) => ({
        sectorNumber: update['sector'],
        deadline: update['deadline'],
        partition: update['partition'],
      })),
    );
  });

  test('the return of 34 and 35, both ways', () => {
    const { params } = find('ProveCommitSectors3Return');
    const results = { successCount: 2, failures: [{ index: 1, exitCode: 16 }] };
    expect(decodeActivationReturn(Buffer.from(params, 'base64'))).toEqual(results);
    expect(base64(encodeActivationReturn(results))).toBe(params);
  });
});

describe('chain-derivations.jsonl', () => {
  const vectors = read('chain-derivations.jsonl');
  const kind = (name: string): Vector[] => vectors.filter((vector) => vector['kind'] === name);

  test.each(kind('miner'))('miner $address', (vector) => {
    expect(actorId(vector['address'])).toBe(BigInt(vector['id']));
    expect(hex(addressBytes(vector['address']))).toBe(vector['addressBytes']);
    expect(hex(randomnessEntropy(vector['address']))).toBe(vector['entropyCbor']);
    expect(base64(randomnessEntropy(vector['address']))).toBe(vector['entropyBase64']);
    expect(hex(proverId(vector['address']))).toBe(vector['proverId']);
  });

  test.each(kind('randomness'))('randomness with tag $tag', (vector) => {
    const entropy = randomnessEntropy(`t0${vector['miner']}`);
    expect(hex(entropy)).toBe(vector['entropy']);
    expect(randomnessFromDigest(vector['tag'], vector['digest'], vector['round'], entropy)).toBe(vector['result']);
  });

  test.each(kind('zeroCommD'))('CommD of $sectorSize zeros', (vector) => {
    const commD = commDOfPieces([], vector['sectorSize']);
    expect(commD).toBe(vector['hex']);
    expect(commitmentCid('unsealed', commD).toString()).toBe(vector['cid']);
    expect(commitmentHex('unsealed', vector['cid'])).toBe(vector['hex']);
  });

  test.each(kind('commD'))('CommD of $pieces.length pieces', (vector) => {
    const pieces = vector['pieces'].map((p: Vector) => ({
      hex: commitmentHex('unsealed', p['cid']),
      paddedSizeBytes: p['size'],
    }));
    const compute = (): string => commitmentCid('unsealed', commDOfPieces(pieces, vector['sectorSize'])).toString();
    if (vector['error'] === null) expect(compute()).toBe(vector['cid']);
    else expect(compute).toThrow(vector['error']);
  });

  test.each(kind('message'))('CID of a message', (vector) => {
    const message = LotusMessage.parse(vector['message']);
    expect(hex(messageCbor(message))).toBe(vector['cbor']);
    expect(messageCid(message).toString()).toBe(vector['cid']);
  });

  test('every line was used', () => {
    const counted = ['miner', 'randomness', 'zeroCommD', 'commD', 'message'].map((name) => kind(name).length);
    expect(counted.reduce((a, b) => a + b)).toBe(vectors.length);
  });
});
