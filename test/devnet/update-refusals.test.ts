/** Every rule of ProveReplicaUpdates3 that the dev chain checks, with the exit code a real chain gives. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { commitmentCid } from '../../src/chain/cids.ts';
import { decodeActivationReturn } from '../../src/chain/params-decode.ts';
import type { ProveReplicaUpdates3 } from '../../src/chain/params.ts';
import { replayProof } from '../../src/devnet/replay-proof.ts';
import {
  activated,
  type Bench,
  bench,
  COMM_R,
  MINER,
  nextAt,
  PIECE,
  posted,
  preCommitWant,
  proveWant,
  pushUnchecked,
  raw,
  send,
  UPDATE_COMM_R,
  updateWant,
  type UpdateWant,
  windowOf,
} from './harness.ts';
import { updateEntry, updatingParams } from './update-params.ts';

let b: Bench;
beforeEach(async () => {
  b = await bench();
});
afterEach(() => b.end());

async function update(
  wants: readonly UpdateWant[],
  change: Partial<ProveReplicaUpdates3> = {},
  more: { value?: bigint; from?: string } = {},
) {
  return pushUnchecked(b, { method: 35, params: await updatingParams(b, wants, change), value: more.value ?? 0n, from: more.from });
}

const refused = (reason: RegExp, exitCode = 16) => ({ exitCode, reason: expect.stringMatching(reason) });
const upgraded = async (number: number): Promise<boolean> => (await b.chain.sector(MINER, number))?.keyCommR !== null;

test('a good one: another replica, the old CommR is the key, all else stays', async () => {
  await posted(b, 7);
  const before = await b.chain.sector(MINER, 7);
  const outcome = await update([updateWant(7)]);
  expect(outcome).toMatchObject({ exitCode: 0, reason: '' });
  expect(decodeActivationReturn(outcome.returned)).toEqual({ successCount: 1, failures: [] });
  expect(await b.chain.sector(MINER, 7)).toEqual({
    ...before,
    commR: commitmentCid('sealed', UPDATE_COMM_R).toString(),
    keyCommR: commitmentCid('sealed', COMM_R).toString(),
  });
});

describe('the moment', () => {
  test('before the first Window PoSt: exit 16; right after it: taken', async () => {
    await activated(b, 7);
    expect(await update([updateWant(7)], { requireActivationSuccess: true })).toMatchObject(refused(/isn't active \(it is unproven\)/));
    expect(await update([updateWant(7)])).toMatchObject(refused(/no valid updates/));
    const { close } = await windowOf(b, (await b.chain.sector(MINER, 7))?.deadline as number);
    await nextAt(b, close);
    expect(await update([updateWant(7)])).toMatchObject({ exitCode: 0 });
  });

  test('from one window before the deadline opens until it closes: exit 16', async () => {
    await posted(b, 7);
    const { open, close, length } = await windowOf(b, (await b.chain.sector(MINER, 7))?.deadline as number);
    const next = 96;
    for (const epoch of [open - length, open, next + open - 1, next + close - 1]) {
      await nextAt(b, epoch);
      expect(await update([updateWant(7)], { requireActivationSuccess: true })).toMatchObject(refused(/immutable deadline/));
    }
    expect(await update([updateWant(7)])).toMatchObject({ exitCode: 0 });
  });

  test('the last epoch before that is taken', async () => {
    await posted(b, 7);
    const { open, length } = await windowOf(b, (await b.chain.sector(MINER, 7))?.deadline as number);
    await nextAt(b, open - length - 1);
    expect(await update([updateWant(7)])).toMatchObject({ exitCode: 0 });
  });

  test('a faulty sector: exit 16; recovered with the next window: taken', async () => {
    await posted(b, 7);
    await b.control({ missWindowPost: { miner: MINER, misses: true }, advance: 96 });
    expect(await update([updateWant(7)], { requireActivationSuccess: true })).toMatchObject(refused(/it is faulty/));
    await b.control({ missWindowPost: { miner: MINER, misses: false }, advance: 96 });
    expect(await update([updateWant(7)])).toMatchObject({ exitCode: 0 });
  });
});

describe('the sector', () => {
  test('upgraded before: exit 16, and the first upgrade stays', async () => {
    await posted(b, 7);
    expect(await update([updateWant(7)])).toMatchObject({ exitCode: 0 });
    const again = { ...updateWant(7, { commROld: UPDATE_COMM_R, commRNew: COMM_R }), commR: COMM_R };
    expect(await update([again], { requireActivationSuccess: true })).toMatchObject(refused(/non-zero data/));
    expect((await b.chain.sector(MINER, 7))?.commR).toBe(commitmentCid('sealed', UPDATE_COMM_R).toString());
  });

  test('sealed with data: exit 16', async () => {
    const ticket = await b.chain.ticket(MINER);
    const commD = '03'.repeat(31) + '03';
    await send(b, preCommitWant(7, ticket.epoch, { commD }));
    await b.control({ advance: 17 });
    const seed = (await b.chain.seed(MINER, 7)) as { value: string };
    const proof = replayProof({ commR: COMM_R, commD, ticket: ticket.value, seed: seed.value, miner: MINER, number: '7' });
    await send(b, { ...proveWant(7, proof), pieces: [PIECE] });
    await b.control({ advance: 2 });
    await nextAt(b, (await windowOf(b, (await b.chain.sector(MINER, 7))?.deadline as number)).close);
    expect(await update([updateWant(7)], { requireActivationSuccess: true })).toMatchObject(refused(/non-zero data/));
  });

  test('not there, or only pre-committed: exit 17', async () => {
    expect(await update([updateWant(7)])).toMatchObject(refused(/sector 7 not found/, 17));
    await send(b, preCommitWant(7, (await b.chain.ticket(MINER)).epoch));
    await b.control({ advance: 2 });
    expect(await update([updateWant(7)])).toMatchObject(refused(/sector 7 not found/, 17));
  });

  test('in another partition or deadline, or in a deadline that is none', async () => {
    await posted(b, 7);
    const right = await updateEntry(b, updateWant(7));
    const required = { requireActivationSuccess: true };
    const partition = { ...required, updates: [{ ...right, partition: 1 }] };
    expect(await update([updateWant(7)], partition)).toMatchObject(refused(/no partition 1/, 17));
    const deadline = { ...required, updates: [{ ...right, deadline: (right.deadline + 20) % 48 }] };
    expect(await update([updateWant(7)], deadline)).toMatchObject(refused(/no partition 0/, 17));
    expect(await update([updateWant(7)], { ...required, updates: [{ ...right, deadline: 48 }] })).toMatchObject(refused(/not in range/));
    // Without required success each counts as one that failed, whatever its code.
    expect(await update([updateWant(7)], { updates: [{ ...right, partition: 1 }] })).toMatchObject(refused(/no valid updates/));
    expect(await upgraded(7)).toBe(false);
  });
});

describe('the proof', () => {
  test.each<[string, Parameters<typeof updateWant>[1]]>([
    ['another old CommR', { commROld: '44'.repeat(31) + '04' }],
    ['another new CommR', { commRNew: '44'.repeat(31) + '04' }],
    ['another CommD', { commDNew: '44'.repeat(31) + '04' }],
  ])('for %s: exit 16, and the sector may be upgraded yet', async (_name, change) => {
    await posted(b, 7);
    expect(await update([updateWant(7, change)], { requireActivationSuccess: true })).toMatchObject(refused(/invalid proof/));
    expect(await upgraded(7)).toBe(false);
    expect(await update([updateWant(7)])).toMatchObject({ exitCode: 0 });
  });

  test('pieces that make another CommD: the proof does not hold for it', async () => {
    await posted(b, 7);
    const other = { cid: commitmentCid('unsealed', '05'.repeat(31) + '05').toString(), paddedSizeBytes: '2048' };
    expect(await update([{ ...updateWant(7), pieces: [other] }], { requireActivationSuccess: true })).toMatchObject(
      refused(/invalid proof/),
    );
  });

  test('pieces that make none: exit 16 for the whole message', async () => {
    await posted(b, 7);
    const tooLarge = { ...PIECE, paddedSizeBytes: '4096' };
    expect(await update([{ ...updateWant(7), pieces: [tooLarge] }])).toMatchObject(refused(/failed to compute unsealed sector CID/));
  });

  test('of another type, too large, one too few, none: exit 16', async () => {
    await posted(b, 7);
    const required = { requireActivationSuccess: true };
    expect(await update([updateWant(7)], { ...required, updateType: 3 })).toMatchObject(refused(/expected proof type 0, was 3/));
    expect(await update([updateWant(7)], { ...required, proofs: [new Uint8Array(4097)] })).toMatchObject(refused(/too large/));
    const two = [new Uint8Array(192), new Uint8Array(192)];
    expect(await update([updateWant(7)], { proofs: two })).toMatchObject(refused(/mismatched lengths/));
    expect(await update([updateWant(7)], { proofs: [] })).toMatchObject(refused(/exactly one of/));
  });

  test('a CommD where the new CommR should be: exit 16', async () => {
    await posted(b, 7);
    const entry = { ...(await updateEntry(b, updateWant(7))), newCommR: commitmentCid('unsealed', UPDATE_COMM_R) };
    expect(await update([updateWant(7)], { requireActivationSuccess: true, updates: [entry] })).toMatchObject(refused(/wrong prefix/));
  });
});

describe('message, sender and money', () => {
  test('a stranger: exit 18; garbage: exit 21', async () => {
    await posted(b, 7);
    const stranger = (await raw(b, 'WalletNew', ['secp256k1'])) as string;
    await b.control({ setBalance: { address: stranger, attoFil: (10n ** 20n).toString() } });
    expect(await update([updateWant(7)], {}, { from: stranger })).toMatchObject({ exitCode: 18 });
    expect(await pushUnchecked(b, { method: 35, params: Uint8Array.from([0x80]), value: 0n })).toMatchObject({ exitCode: 21 });
    expect(await upgraded(7)).toBe(false);
  });

  test('one bad of two: receipt 0, the return names it; the same sector twice: the second fails', async () => {
    await posted(b, 7);
    await posted(b, 8);
    await nextAt(b, (await windowOf(b, (await b.chain.sector(MINER, 7))?.deadline as number)).close);
    const outcome = await update([updateWant(7, { commROld: UPDATE_COMM_R }), updateWant(8), updateWant(8)]);
    expect(outcome.exitCode).toBe(0);
    expect(decodeActivationReturn(outcome.returned)).toEqual({
      successCount: 1,
      failures: [
        { index: 0, exitCode: 16 },
        { index: 2, exitCode: 16 },
      ],
    });
    expect(await b.chain.message(outcome.cid, { number: 7 })).toMatchObject({ exitCode: 0, sectorOk: false });
    expect(await b.chain.message(outcome.cid, { number: 8 })).toMatchObject({ exitCode: 0, sectorOk: true });
    expect([await upgraded(7), await upgraded(8)]).toEqual([false, true]);
  });

  test('a pledge that rose: exit 19 without the difference, with it taken and kept locked', async () => {
    await posted(b, 7);
    await b.control({ pledgePercent: 150, setBalance: { address: MINER, attoFil: '0' } });
    expect(await update([updateWant(7)])).toMatchObject(refused(/insufficient funds for aggregate initial pledge/, 19));
    const pledge = 3n * 10n ** 16n;
    expect(await update([updateWant(7)], {}, { value: pledge / 2n - 1n })).toMatchObject({ exitCode: 19 });
    expect(await update([updateWant(7)], {}, { value: pledge / 2n })).toMatchObject({ exitCode: 0 });
    expect(await raw(b, 'StateSectorGetInfo', [MINER, 7, []])).toMatchObject({ InitialPledge: ((pledge * 3n) / 2n).toString() });
    expect(await raw(b, 'StateMinerAvailableBalance', [MINER, []])).toBe('0');
  });

  test('a pledge that fell stays as it was', async () => {
    await posted(b, 7);
    await b.control({ pledgePercent: 50 });
    expect(await update([updateWant(7)])).toMatchObject({ exitCode: 0 });
    expect(await raw(b, 'StateSectorGetInfo', [MINER, 7, []])).toMatchObject({ InitialPledge: (3n * 10n ** 16n).toString() });
  });
});
