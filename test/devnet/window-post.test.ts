/** The clock: deadlines, Window PoSt and ends, epoch by epoch or passed over. */
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { runLengths } from '../../src/devnet/rpc/bit-field.ts';
import { setBits } from '../../src/chain/lotus-answers.ts';
import { activated, type Bench, bench, MINER, nextAt, posted, preCommitWant, raw, send, updateWant, windowOf } from './harness.ts';

const PERIOD = 96;

let b: Bench;
beforeEach(async () => {
  b = await bench();
});
afterEach(() => b.end());

type Partition = Record<'AllSectors' | 'FaultySectors' | 'RecoveringSectors' | 'LiveSectors' | 'ActiveSectors', number[]>;
const partitions = (deadline: number) => raw(b, 'StateMinerPartitions', [MINER, deadline, []]) as Promise<Partition[]>;
const deadlineOf = async (number: number): Promise<number> => (await b.chain.sector(MINER, number))?.deadline as number;

describe('Window PoSt', () => {
  test('a new sector is live, active from the end of its window on', async () => {
    await activated(b, 7);
    const deadline = await deadlineOf(7);
    const { close, epoch } = await windowOf(b, deadline);
    expect(close - epoch).toBeLessThanOrEqual(PERIOD + 2);
    const none = [0];
    const seven = [7, 1];
    const unproven = { AllSectors: seven, FaultySectors: none, RecoveringSectors: none, LiveSectors: seven, ActiveSectors: none };
    expect(await partitions(deadline)).toEqual([unproven]);
    await b.control({ advance: close - 1 - epoch });
    expect(await partitions(deadline)).toEqual([unproven]);
    await b.control({ advance: 1 });
    expect(await partitions(deadline)).toEqual([{ ...unproven, ActiveSectors: seven }]);
    expect(await b.chain.sector(MINER, 7)).toMatchObject({ deadline, partition: 0, proven: true });
  });

  test('a missed one makes it faulty, also before it was ever proven; the next one heals it', async () => {
    await activated(b, 7);
    const deadline = await deadlineOf(7);
    await b.control({ missWindowPost: { miner: MINER, misses: true }, advance: PERIOD + 2 });
    expect(await partitions(deadline)).toMatchObject([{ FaultySectors: [7, 1], LiveSectors: [7, 1], ActiveSectors: [0] }]);
    expect(await b.chain.sector(MINER, 7)).toMatchObject({ proven: false });
    await b.control({ missWindowPost: { miner: MINER, misses: false }, advance: PERIOD });
    expect(await partitions(deadline)).toMatchObject([{ FaultySectors: [0], ActiveSectors: [7, 1] }]);
  });

  test('control refuses a miner that is not there', async () => {
    await expect(b.control({ missWindowPost: { miner: 't0999', misses: true } })).rejects.toThrow(/no miner t0999/);
  });

  test('a sector goes to a deadline that is mutable, at most two share a partition', async () => {
    for (const number of [1, 2, 3]) {
      await activated(b, number);
      const { open, epoch, length } = await windowOf(b, await deadlineOf(number));
      // It was assigned at the epoch that is now the head.
      expect(epoch).toBeLessThan(open - length);
    }
    for (const number of [1, 2, 3]) {
      const { Deadline, Partition } = (await raw(b, 'StateSectorPartition', [MINER, number, []])) as Record<string, number>;
      const all = (await partitions(Deadline as number))[Partition as number]?.AllSectors ?? [];
      expect(setBits(all, [1, 2, 3])).toContain(number);
      expect(setBits(all, [1, 2, 3]).length).toBeLessThanOrEqual(2);
    }
  });
});

describe('the shapes are those of Lotus', () => {
  test('StateMinerProvingDeadline tells the open deadline', async () => {
    const info = (await raw(b, 'StateMinerProvingDeadline', [MINER, []])) as Record<string, number>;
    expect(info).toMatchObject({ WPoStPeriodDeadlines: 48, WPoStProvingPeriod: PERIOD, WPoStChallengeWindow: 2 });
    expect(Object.keys(info)).toEqual([
      'CurrentEpoch',
      'PeriodStart',
      'Index',
      'Open',
      'Close',
      'Challenge',
      'FaultCutoff',
      'WPoStPeriodDeadlines',
      'WPoStProvingPeriod',
      'WPoStChallengeWindow',
      'WPoStChallengeLookback',
      'FaultDeclarationCutoff',
    ]);
    const { CurrentEpoch: now = 0, Open: open = 0, Close: close = 0, PeriodStart: start = 0, Index: index = 0 } = info;
    expect(open).toBe(start + index * 2);
    expect(now >= open && now < close).toBe(true);
    expect(info['FaultCutoff']).toBeLessThan(info['Challenge'] as number);
  });

  test('mainnet’s window gives mainnet’s figures', async () => {
    const mainnet = await bench({ challengeWindowEpochs: 60 });
    try {
      expect(await raw(mainnet, 'StateMinerProvingDeadline', [MINER, []])).toMatchObject({
        WPoStProvingPeriod: 2880,
        WPoStChallengeWindow: 60,
        WPoStChallengeLookback: 20,
        FaultDeclarationCutoff: 70,
      });
    } finally {
      await mainnet.end();
    }
  });

  test('StateMinerDeadlines has 48; a deadline without sectors has no partitions; strict on parameters', async () => {
    const deadlines = (await raw(b, 'StateMinerDeadlines', [MINER, []])) as unknown[];
    expect(deadlines).toHaveLength(48);
    expect(deadlines[0]).toEqual({ PostSubmissions: [0], DisputableProofCount: 0, DailyFee: '0' });
    expect(await partitions(0)).toEqual([]);
    await expect(partitions(48)).rejects.toThrow(/invalid deadline 48/);
    await expect(raw(b, 'StateMinerPartitions', [MINER, 0])).rejects.toMatchObject({ rpcCode: -32602 });
    await expect(raw(b, 'StateMinerProvingDeadline', [MINER])).rejects.toMatchObject({ rpcCode: -32602 });
    await expect(raw(b, 'StateSectorPartition', [MINER, 7, []])).rejects.toThrow(/not found in any partition/);
    await expect(raw(b, 'StateMinerDeadlines', ['t0999', []])).rejects.toThrow(/actor not found/);
  });

  test('StateSectorGetInfo of an upgraded sector', async () => {
    await posted(b, 7);
    const before = (await raw(b, 'StateSectorGetInfo', [MINER, 7, []])) as Record<string, unknown>;
    expect(before).toMatchObject({ SectorKeyCID: null, DealWeight: '0', Flags: 1 });
    await send(b, updateWant(7));
    const epoch = (await b.control({ advance: 2 })).epoch - 1;
    const weight = 2048n * BigInt((before['Expiration'] as number) - epoch);
    expect(await raw(b, 'StateSectorGetInfo', [MINER, 7, []])).toMatchObject({
      ...before,
      SealedCID: { '/': expect.any(String) },
      SectorKeyCID: before['SealedCID'],
      PowerBaseEpoch: epoch,
      DealWeight: weight.toString(),
    });
  });

  test('run lengths say what is set', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(60)), (some) => {
        const rising = [...some].sort((a, z) => a - z);
        const all = Array.from({ length: 62 }, (_, number) => number);
        expect(setBits(runLengths(rising), all)).toEqual(rising);
      }),
    );
  });
});

describe('moving the clock', () => {
  /** Two sectors, one pre-commit, windows missed from here to there: everything that time alone changes. */
  async function story(step: (epochs: number) => Promise<unknown>, on: Bench): Promise<Record<string, unknown>> {
    await activated(on, 7);
    await send(on, preCommitWant(8, (await on.chain.ticket(MINER)).epoch));
    await step(40);
    await on.control({ missWindowPost: { miner: MINER, misses: true } });
    await step(130);
    const missed = await raw(on, 'StateMinerPartitions', [MINER, (await on.chain.sector(MINER, 7))?.deadline, []]);
    await on.control({ missWindowPost: { miner: MINER, misses: false } });
    await step(110);
    return {
      missed,
      sector: await on.chain.sector(MINER, 7),
      preCommit: await on.chain.preCommit(MINER, 8),
      head: await on.chain.head(),
      available: await raw(on, 'StateMinerAvailableBalance', [MINER, []]),
      messages: await on.messages(),
    };
  }

  test('epoch by epoch or in leaps: the same chain', { timeout: 60_000 }, async () => {
    const [leaps, steps] = await Promise.all([bench({ genesisSeed: 'ab'.repeat(32) }), bench({ genesisSeed: 'ab'.repeat(32) })]);
    try {
      const one = async (epochs: number): Promise<void> => {
        for (let i = 0; i < epochs; i++) await steps.control({ advance: 1 });
      };
      const leapt = await story((epochs) => leaps.control({ advance: epochs }), leaps);
      expect(await story(one, steps)).toEqual(leapt);
      expect(leapt).toMatchObject({ missed: [{ FaultySectors: [7, 1] }], sector: { proven: true } });
    } finally {
      await Promise.all([leaps.end(), steps.end()]);
    }
  });

  test('4,000 epochs with sectors, pre-commits and pending messages take well under 2 s', async () => {
    for (const number of [1, 2, 3]) await activated(b, number);
    const ticket = await b.chain.ticket(MINER);
    for (let number = 10; number < 20; number++) await send(b, preCommitWant(number, ticket.epoch));
    const { epoch } = await b.chain.head();
    const begun = performance.now();
    await b.control({ advance: 4000 });
    expect(performance.now() - begun).toBeLessThan(1000);
    expect((await b.chain.head()).epoch).toBe(epoch + 4000);
    expect(await b.chain.preCommit(MINER, 19)).toMatchObject({ epoch: epoch + 1 });
    expect(await b.chain.sector(MINER, 3)).toMatchObject({ proven: true });
  });

  test('a ticket expires on the way', async () => {
    const ticket = await b.chain.ticket(MINER);
    await b.control({ advance: 2881 });
    await expect(b.chain.sign(preCommitWant(7, ticket.epoch), 0)).rejects.toMatchObject({
      category: 'permanent',
      code: 'ticket_expired',
      message: expect.stringMatching(/resume at TreeDBuilt/),
    });
    await expect(b.chain.sign(preCommitWant(7, (await b.chain.ticket(MINER)).epoch), 0)).resolves.toBeDefined();
  });

  test('a sector at its end leaves its partition and frees its pledge', async () => {
    await posted(b, 7);
    const { expirationEpoch, deadline } = (await b.chain.sector(MINER, 7)) ?? { expirationEpoch: 0, deadline: 0 };
    const locked = async (): Promise<bigint> => BigInt((await raw(b, 'StateMinerAvailableBalance', [MINER, []])) as string);
    const before = await locked();
    await nextAt(b, expirationEpoch);
    expect(await b.chain.sector(MINER, 7)).toBeDefined();
    await b.control({ advance: PERIOD + 2 });
    // Of what has ended Lotus still answers, until its partition is compacted.
    expect(await raw(b, 'StateSectorGetInfo', [MINER, 7, []])).toMatchObject({ SectorNumber: 7 });
    expect(await raw(b, 'StateSectorPartition', [MINER, 7, []])).toMatchObject({ Deadline: deadline });
    expect(await b.chain.sector(MINER, 7)).toBeUndefined();
    expect(await partitions(deadline)).toMatchObject([{ AllSectors: [7, 1], LiveSectors: [0], ActiveSectors: [0] }]);
    expect((await locked()) - before).toBe(3n * 10n ** 16n);
    await expect(b.chain.sign(updateWant(7), 0)).rejects.toMatchObject({ category: 'permanent', code: 'no_sector' });
  });
});
