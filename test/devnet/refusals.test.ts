/** Every rule of the miner actor that the dev chain checks, with the exit code a real chain gives. */
import { CID } from 'multiformats/cid';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { commitmentCid } from '../../src/chain/cids.ts';
import { decodeActivationReturn } from '../../src/chain/params-decode.ts';
import {
  encodePreCommitSectorBatch2,
  encodeProveCommitSectors3,
  type PreCommitSector,
  type ProveCommitSectors3,
} from '../../src/chain/params.ts';
import { replayProof } from '../../src/devnet/replay-proof.ts';
import { type Bench, bench, COMM_R, MINER, preCommitted, pushUnchecked, raw, ZERO_COMM_D } from './harness.ts';

let b: Bench;
beforeEach(async () => {
  b = await bench();
});
afterEach(() => b.end());

const DEPOSIT = 10n ** 18n;
const commR = commitmentCid('sealed', COMM_R);
const commD = commitmentCid('unsealed', ZERO_COMM_D);

async function preCommit(change: Partial<PreCommitSector>, more: { value?: bigint; from?: string; twice?: boolean } = {}) {
  const { epoch } = await b.chain.head();
  const sector: PreCommitSector = {
    sealProof: 5,
    sectorNumber: 7,
    commR,
    sealRandEpoch: epoch - 900,
    expiration: epoch + 1_555_200,
    commD: null,
    ...change,
  };
  const params = encodePreCommitSectorBatch2(more.twice ? [sector, sector] : [sector]);
  return pushUnchecked(b, { method: 28, params, value: more.value ?? DEPOSIT, from: more.from });
}

function proveCommit(params: Partial<ProveCommitSectors3>, value = DEPOSIT) {
  const full: ProveCommitSectors3 = {
    sectors: [{ sectorNumber: 7, pieces: [] }],
    proofs: [],
    aggregateProof: new Uint8Array(),
    aggregateType: null,
    requireActivationSuccess: false,
    requireNotificationSuccess: false,
    ...params,
  };
  return pushUnchecked(b, { method: 34, params: encodeProveCommitSectors3(full), value });
}

describe('pre-commit', () => {
  test('a good one passes', async () => expect(await preCommit({})).toMatchObject({ exitCode: 0 }));

  test.each<[string, (epoch: number) => Partial<PreCommitSector>, RegExp]>([
    ['a ticket of now', (epoch) => ({ sealRandEpoch: epoch + 1 }), /must be before now/],
    ['a ticket older than 3,780 epochs', (epoch) => ({ sealRandEpoch: epoch + 1 - 3_781 }), /too old/],
    ['an expiration too near', (epoch) => ({ expiration: epoch + 1 + 86_550 + 518_399 }), /lifetime/],
    ['an expiration too far', (epoch) => ({ expiration: epoch + 1 + 3_680_641 }), /cannot be more than/],
    ['an unknown seal proof', () => ({ sealProof: 3 }), /unsupported seal proof/],
    ['a seal proof of another size', () => ({ sealProof: 8 }), /must match/],
    ['a CommD where CommR should be', () => ({ commR: commD }), /sealed CID/],
    ['a CommR where CommD should be', () => ({ commD: commR }), /unsealed CID/],
  ])('%s: exit 16', async (_name, change, reason) => {
    const { epoch } = await b.chain.head();
    expect(await preCommit(change(epoch))).toMatchObject({ exitCode: 16, reason: expect.stringMatching(reason) });
    expect(await b.chain.allocated(MINER, [7])).toEqual([]);
  });

  test('a ticket of exactly 3,780 epochs and the nearest expiration pass', async () => {
    const { epoch } = await b.chain.head();
    const change = { sealRandEpoch: epoch + 1 - 3_780, expiration: epoch + 1 + 86_550 + 518_400 };
    expect(await preCommit(change)).toMatchObject({ exitCode: 0 });
  });

  test('a number given out before, or twice in one message: exit 16', async () => {
    expect(await preCommit({}, { twice: true })).toMatchObject({ exitCode: 16, reason: expect.stringMatching(/duplicate/) });
    expect(await preCommit({})).toMatchObject({ exitCode: 0 });
    expect(await preCommit({})).toMatchObject({ exitCode: 16, reason: expect.stringMatching(/allocated before/) });
  });

  test('a stranger: exit 18, and his value is given back', async () => {
    const stranger = (await raw(b, 'WalletNew', ['secp256k1'])) as string;
    await b.control({ setBalance: { address: stranger, attoFil: (10n ** 20n).toString() } });
    expect(await preCommit({}, { from: stranger })).toMatchObject({ exitCode: 18 });
    expect(BigInt((await raw(b, 'WalletBalance', [stranger])) as string)).toBeGreaterThan(99n * 10n ** 18n);
  });

  test('no deposit: exit 19; no value in the account: exit 6; no gas: exit 7', async () => {
    expect(await preCommit({}, { value: 0n })).toMatchObject({ exitCode: 19 });
    const { epoch } = await b.chain.head();
    const params = encodePreCommitSectorBatch2([
      { sealProof: 5, sectorNumber: 7, commR, sealRandEpoch: epoch - 900, expiration: epoch + 1_555_200, commD: null },
    ]);
    expect(await pushUnchecked(b, { method: 28, params, value: DEPOSIT, gasLimit: 1_000_000 })).toMatchObject({ exitCode: 7 });
    const worker = await b.chain.sender(MINER);
    const drained = await pushUnchecked(b, {
      method: 28,
      params,
      value: DEPOSIT,
      beforeLanding: () => b.control({ setBalance: { address: worker, attoFil: '1000' } }),
    });
    expect(drained).toMatchObject({ exitCode: 6 });
  });

  test('garbage: exit 21; a method that is not there: exit 22; an actor that is not there: exit 5', async () => {
    const params = Uint8Array.from([0x81, 0x81, 0x01]);
    expect(await pushUnchecked(b, { method: 28, params, value: 0n })).toMatchObject({ exitCode: 21 });
    expect(await pushUnchecked(b, { method: 26, params, value: 0n })).toMatchObject({ exitCode: 22 });
    expect(await pushUnchecked(b, { method: 0, params: new Uint8Array(), value: 1n, to: 't0999' })).toMatchObject({ exitCode: 5 });
  });

  test('CBOR longer than it need be: exit 21', async () => {
    const { epoch } = await b.chain.head();
    const good = encodePreCommitSectorBatch2([
      { sealProof: 5, sectorNumber: 7, commR, sealRandEpoch: epoch - 900, expiration: epoch + 1_555_200, commD: null },
    ]);
    // 87 (array of 7) becomes 98 07: the same value, one byte longer.
    const longer = Uint8Array.from([...good.subarray(0, 2), 0x98, 0x07, ...good.subarray(3)]);
    expect(await pushUnchecked(b, { method: 28, params: longer, value: DEPOSIT })).toMatchObject({ exitCode: 21 });
  });

  test('one never proven is cleaned up, its deposit burnt, its number stays given out', async () => {
    expect(await preCommit({})).toMatchObject({ exitCode: 0 });
    await b.control({ advance: 86_550 + 960 + 1 });
    expect(await b.chain.preCommit(MINER, 7)).toBeUndefined();
    expect(await b.chain.allocated(MINER, [7])).toEqual([7]);
    expect(await raw(b, 'StateMinerAvailableBalance', [MINER, []])).toBe((DEPOSIT - 10n ** 16n).toString());
  });
});

describe('prove-commit', () => {
  test('a sector without a pre-commit: exit 17', async () => {
    expect(await proveCommit({ proofs: [new Uint8Array(192)] })).toMatchObject({ exitCode: 17 });
  });

  test('before its seed can be known: exit 18', async () => {
    const ticket = await b.chain.ticket(MINER);
    await preCommit({ sealRandEpoch: ticket.epoch });
    await b.control({ advance: 8 });
    expect(await proveCommit({ proofs: [new Uint8Array(192)] })).toMatchObject({ exitCode: 18 });
  });

  test.each<[string, (statement: Parameters<typeof replayProof>[0]) => Parameters<typeof replayProof>[0]]>([
    ['ticket', (statement) => ({ ...statement, ticket: '00'.repeat(32) })],
    ['seed', (statement) => ({ ...statement, seed: '00'.repeat(32) })],
    ['sector', (statement) => ({ ...statement, number: '8' })],
    ['CommR', (statement) => ({ ...statement, commR: '22'.repeat(32) })],
  ])('a proof for another %s: exit 16, and the sector may be proven yet', async (_name, change) => {
    const right = await preCommitted(b, 7);
    const statement = { commR: COMM_R, commD: ZERO_COMM_D, ticket: right.ticket, seed: right.seed, miner: MINER, number: '7' };
    expect(await proveCommit({ proofs: [replayProof(change(statement))] })).toMatchObject({ exitCode: 16 });
    expect(await proveCommit({ proofs: [right.proof] })).toMatchObject({ exitCode: 0 });
  });

  test('pieces that do not make the CommD: exit 16 for the whole message', async () => {
    const { proof } = await preCommitted(b, 7);
    const pieces = [{ cid: commitmentCid('unsealed', '01'.repeat(31) + '00'), paddedSizeBytes: 2048, allocation: null, notify: [] }];
    const refused = await proveCommit({ sectors: [{ sectorNumber: 7, pieces }], proofs: [proof] });
    expect(refused).toMatchObject({ exitCode: 16, reason: expect.stringMatching(/unsealed CID does not match/) });
    const zeros = [{ cid: CID.asCID(commD) as CID, paddedSizeBytes: 2048, allocation: null, notify: [] }];
    expect(await proveCommit({ sectors: [{ sectorNumber: 7, pieces: zeros }], proofs: [proof] })).toMatchObject({ exitCode: 0 });
  });

  test('one bad proof of two: receipt 0, and the return names the one that failed', async () => {
    const first = await preCommitted(b, 7);
    await preCommitted(b, 8);
    const outcome = await proveCommit({
      sectors: [
        { sectorNumber: 7, pieces: [] },
        { sectorNumber: 8, pieces: [] },
      ],
      proofs: [first.proof, first.proof],
    });
    expect(outcome.exitCode).toBe(0);
    expect(decodeActivationReturn(outcome.returned)).toEqual({ successCount: 1, failures: [{ index: 1, exitCode: 16 }] });
    expect(await b.chain.message(outcome.cid, { number: 7 })).toMatchObject({ exitCode: 0, sectorOk: true });
    expect(await b.chain.message(outcome.cid, { number: 8 })).toMatchObject({ exitCode: 0, sectorOk: false });
    expect(await b.chain.sector(MINER, 8)).toBeUndefined();
  });

  test('the same with activation required: exit 16, nothing activated', async () => {
    const first = await preCommitted(b, 7);
    await preCommitted(b, 8);
    const sectors = [
      { sectorNumber: 7, pieces: [] },
      { sectorNumber: 8, pieces: [] },
    ];
    expect(await proveCommit({ sectors, proofs: [first.proof, first.proof], requireActivationSuccess: true })).toMatchObject({
      exitCode: 16,
    });
    expect(await b.chain.sector(MINER, 7)).toBeUndefined();
  });

  test('too little pledge: exit 19; later than 86,550 epochs: exit 16', async () => {
    const { proof } = await preCommitted(b, 7);
    await b.control({ setBalance: { address: MINER, attoFil: '0' } });
    expect(await proveCommit({ proofs: [proof] }, 0n)).toMatchObject({ exitCode: 19 });
    await b.control({ advance: 86_550 });
    expect(await proveCommit({ proofs: [proof] })).toMatchObject({ exitCode: 16 });
  });

  test('a second prove-commit of an active sector: exit 17', async () => {
    const { proof } = await preCommitted(b, 7);
    expect(await proveCommit({ proofs: [proof] })).toMatchObject({ exitCode: 0 });
    expect(await proveCommit({ proofs: [proof] })).toMatchObject({ exitCode: 17 });
  });
});
