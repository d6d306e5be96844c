/** Passing over epochs is the same as ending each one, whatever is on the chain; and how deadlines fill. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { deadlineIsMutable } from '../../src/chain/deadlines.ts';
import { createAccount, createMiner, findMiner, type Miner, setMissesPost } from '../../src/devnet/accounts.ts';
import { assignDeadline, provingSchedule } from '../../src/devnet/deadlines.ts';
import { Ledger } from '../../src/devnet/ledger.ts';
import { GENESIS_EPOCH, type Policy, policyWith } from '../../src/devnet/options.ts';
import { insertPreCommit, markActivated } from '../../src/devnet/sectors.ts';
import { endEpoch, endEpochs } from '../../src/devnet/window-post.ts';

/** Short enough that everything runs out within a test. */
const short = (window: number): Policy => ({ ...policyWith(10, window), maxProveCommit: 40, cleanUpDelay: 7 });

type NewSector = { preCommitEpoch: number; activation: number | null; expiration: number };

function ledgerWith(policy: Policy, sectors: readonly NewSector[]): Ledger {
  const ledger = new Ledger(':memory:');
  ledger.genesisSeed('00'.repeat(32));
  const { id } = createAccount(ledger, 0n);
  createMiner(ledger, { id: 1000, sectorSizeBytes: 2048, owner: id, worker: id, balance: 10_000n });
  for (const [number, { preCommitEpoch, activation, expiration }] of sectors.entries()) {
    const row = { miner: 1000, number };
    const commitments = { sealProof: 5, commR: '00', commD: '00', commDGiven: false, ticketEpoch: 0 };
    insertPreCommit(ledger, { ...row, ...commitments, expiration, preCommitEpoch, deposit: 1n });
    if (activation === null) continue;
    const place = assignDeadline(ledger, policy, findMiner(ledger, 't01000') as Miner, activation);
    markActivated(ledger, row, { epoch: activation, pledge: 3n, pieceBytes: 0, place });
  }
  return ledger;
}

const dump = (ledger: Ledger): unknown => [
  ledger.db.prepare('SELECT * FROM sectors ORDER BY number').all(),
  ledger.db.prepare('SELECT * FROM miners').all(),
];

const sector = fc.record({
  preCommitEpoch: fc.integer({ min: GENESIS_EPOCH - 60, max: GENESIS_EPOCH }),
  activation: fc.option(fc.integer({ min: GENESIS_EPOCH - 60, max: GENESIS_EPOCH }), { nil: null }),
  expiration: fc.integer({ min: GENESIS_EPOCH, max: GENESIS_EPOCH + 300 }),
});
const step = fc.record({ epochs: fc.integer({ min: 1, max: 150 }), misses: fc.boolean() });

test('leaps and single epochs lead to the same rows', () => {
  const cases = fc.record({
    window: fc.integer({ min: 1, max: 3 }),
    sectors: fc.array(sector, { maxLength: 8 }),
    steps: fc.array(step, { minLength: 1, maxLength: 4 }),
  });
  fc.assert(
    fc.property(cases, ({ window, sectors, steps }) => {
      const policy = short(window);
      const [leaping, walking] = [ledgerWith(policy, sectors), ledgerWith(policy, sectors)];
      let epoch = GENESIS_EPOCH;
      for (const { epochs, misses } of steps) {
        for (const ledger of [leaping, walking]) setMissesPost(ledger, 1000, misses);
        endEpochs(leaping, policy, epoch, epoch + epochs);
        for (let e = epoch + 1; e <= epoch + epochs; e++) endEpoch(walking, policy, e);
        epoch += epochs;
        expect(dump(leaping)).toEqual(dump(walking));
      }
      leaping.close();
      walking.close();
    }),
    { numRuns: 60 },
  );
});

test('every sector is assigned to a deadline that is mutable then, and partitions fill before new ones open', () => {
  const policy = policyWith(10, 2);
  const schedule = provingSchedule(policy, 1000);
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 200 }), fc.integer({ min: 1, max: 120 }), (later, count) => {
      const epoch = GENESIS_EPOCH + later;
      const same = Array.from({ length: count }, () => ({ preCommitEpoch: epoch - 20, activation: epoch, expiration: epoch + 1_000 }));
      const ledger = ledgerWith(policy, same);
      const rows = ledger.db
        .prepare('SELECT deadline, partition_index AS partition, count(*) AS sectors FROM sectors GROUP BY 1, 2')
        .all() as { deadline: number; partition: number; sectors: number }[];
      ledger.close();
      expect(rows.every(({ deadline }) => deadlineIsMutable(schedule, deadline, epoch))).toBe(true);
      expect(rows.filter(({ sectors }) => sectors < 2).length).toBe(count % 2);
      const mutable = Array.from({ length: 48 }, (_, deadline) => deadline).filter((d) => deadlineIsMutable(schedule, d, epoch)).length;
      expect(Math.max(...rows.map(({ partition }) => partition)) + 1).toBe(Math.ceil(count / 2 / mutable));
    }),
    { numRuns: 25 },
  );
});
