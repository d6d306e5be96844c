/** What holds for every message and every sector, not only for the recorded ones. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { commitmentCid } from '../../src/chain/cids.ts';
import { commDOfPieces, type SizedCommitment, zeroCommitment } from '../../src/chain/comm-d.ts';
import { setBits } from '../../src/chain/lotus-answers.ts';
import { decodePreCommitSectorBatch2, decodeProveCommitSectors3, decodeProveReplicaUpdates3 } from '../../src/chain/params-decode.ts';
import { encodePreCommitSectorBatch2, encodeProveCommitSectors3, encodeProveReplicaUpdates3 } from '../../src/chain/params.ts';

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const hex32 = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString('hex'));
const sealed = hex32.map((hex) => commitmentCid('sealed', hex));
const unsealed = hex32.map((hex) => commitmentCid('unsealed', hex));
const sectorNumber = fc.oneof(fc.nat(), fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }));
const epoch = fc.integer({ min: 0, max: 100_000_000 });

const preCommits = fc.array(
  fc.record({
    sealProof: fc.integer({ min: 0, max: 14 }),
    sectorNumber,
    commR: sealed,
    sealRandEpoch: epoch,
    expiration: epoch,
    commD: fc.option(unsealed, { nil: null }),
  }),
  { maxLength: 20 },
);
const piece = fc.record({
  cid: unsealed,
  paddedSizeBytes: fc.integer({ min: 7, max: 36 }).map((log) => 2 ** log),
  allocation: fc.option(fc.record({ clientId: fc.nat(), allocationId: fc.nat() }), { nil: null }),
  notify: fc.array(fc.record({ address: fc.nat().map((id) => `t0${id}`), payload: fc.uint8Array({ maxLength: 40 }) }), { maxLength: 2 }),
});
const proveCommit = fc.record({
  sectors: fc.array(fc.record({ sectorNumber, pieces: fc.array(piece, { maxLength: 3 }) }), { maxLength: 5 }),
  proofs: fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 5 }),
  aggregateProof: fc.uint8Array({ maxLength: 50 }),
  aggregateType: fc.option(fc.nat(3), { nil: null }),
  requireActivationSuccess: fc.boolean(),
  requireNotificationSuccess: fc.boolean(),
});
const replicaUpdates = fc.record({
  updates: fc.array(
    fc.record({
      sectorNumber,
      deadline: fc.nat(47),
      partition: fc.nat(3000),
      newCommR: sealed,
      pieces: fc.array(piece, { maxLength: 3 }),
    }),
    { maxLength: 5 },
  ),
  proofs: fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 5 }),
  updateType: fc.nat(4),
  requireActivationSuccess: fc.boolean(),
  requireNotificationSuccess: fc.boolean(),
});

describe('parameters', () => {
  test('come back as they went in', () => {
    fc.assert(
      fc.property(preCommits, (sectors) => {
        const cbor = encodePreCommitSectorBatch2(sectors);
        expect(hexOf(encodePreCommitSectorBatch2(decodePreCommitSectorBatch2(cbor)))).toBe(hexOf(cbor));
      }),
    );
    fc.assert(
      fc.property(proveCommit, (params) => {
        const cbor = encodeProveCommitSectors3(params);
        expect(hexOf(encodeProveCommitSectors3(decodeProveCommitSectors3(cbor)))).toBe(hexOf(cbor));
      }),
    );
    fc.assert(
      fc.property(replicaUpdates, (params) => {
        const cbor = encodeProveReplicaUpdates3(params);
        expect(hexOf(encodeProveReplicaUpdates3(decodeProveReplicaUpdates3(cbor)))).toBe(hexOf(cbor));
      }),
    );
  });

  test('one spelling each: bytes that are accepted are the bytes that would be written', () => {
    const change = fc.record({ at: fc.nat(), to: fc.integer({ min: 0, max: 255 }), cut: fc.nat(3), more: fc.uint8Array({ maxLength: 2 }) });
    fc.assert(
      fc.property(proveCommit, change, (params, { at, to, cut, more }) => {
        const cbor = encodeProveCommitSectors3(params);
        const changed = Uint8Array.from([...cbor.subarray(0, cbor.length - cut), ...more]);
        changed[at % changed.length] = to;
        let decoded;
        try {
          decoded = decodeProveCommitSectors3(changed);
        } catch {
          return;
        }
        expect(hexOf(encodeProveCommitSectors3(decoded))).toBe(hexOf(changed));
      }),
      { numRuns: 500 },
    );
  });
});

describe('CommD', () => {
  const sectorSizeBytes = 2048;
  const zeros = (sizeBytes: number): { hex: string; paddedSizeBytes: number } => ({
    hex: Buffer.from(zeroCommitment(sizeBytes)).toString('hex'),
    paddedSizeBytes: sizeBytes,
  });

  test('zero pieces change nothing, and halves fold as the whole does', () => {
    const small = fc.record({ hex: hex32, paddedSizeBytes: fc.constantFrom(128, 256, 512) });
    fc.assert(
      fc.property(fc.array(small, { maxLength: 3 }), (pieces) => {
        const whole = commDOfPieces(pieces, sectorSizeBytes);
        // The same pieces with the fillers written out between and behind them.
        const explicit: SizedCommitment[] = [];
        let offset = 0;
        const fill = (until: number): void => {
          while (offset % until !== 0) {
            explicit.push(zeros(128));
            offset += 128;
          }
        };
        for (const next of pieces) {
          fill(next.paddedSizeBytes);
          explicit.push(next);
          offset += next.paddedSizeBytes;
        }
        fill(sectorSizeBytes);
        expect(commDOfPieces(explicit, sectorSizeBytes)).toBe(whole);
        expect(commDOfPieces([{ hex: whole, paddedSizeBytes: sectorSizeBytes }, zeros(sectorSizeBytes)], 2 * sectorSizeBytes)).toBe(
          commDOfPieces(pieces, 2 * sectorSizeBytes),
        );
      }),
    );
  });

  test.each([0, 64, 100, 192, 2 ** 12])('a piece of %i bytes does not fit 2 KiB', (paddedSizeBytes) => {
    expect(() => commDOfPieces([{ hex: '00'.repeat(32), paddedSizeBytes }], sectorSizeBytes)).toThrow();
  });
});

test('run lengths say which numbers are set', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 12 }), fc.boolean(), (lengths, startsUnset) => {
      const runs = startsUnset ? lengths : [0, ...lengths];
      const bits = runs.flatMap((length, index) => Array.from({ length }, () => index % 2 === 1));
      const numbers = Array.from({ length: bits.length + 3 }, (_, number) => number);
      expect(setBits(runs, numbers)).toEqual(numbers.filter((number) => bits[number] === true));
    }),
  );
});
