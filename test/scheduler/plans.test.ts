import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { IllegalTransition, isFinal, next } from '../../src/scheduler/machine.ts';
import { PLANS, planTables } from '../../src/scheduler/plans/all.ts';
import { waitMs } from '../../src/scheduler/retry.ts';
import { sealProofInfo, SealProof } from '../../src/schema/seal-proof.ts';
import { treeCNames, treeRLastNames } from '../../src/schema/artifact.ts';
import { alignedBytes } from '../../src/scheduler/allocate.ts';

/** The flows as the users' documents draw them, written here a second time on purpose. */
const FLOWS = {
  sealer: `
Empty Allocate Allocated
Allocated AcquireDeals DealsAcquired
DealsAcquired AddPiece PieceAdded
PieceAdded BuildTreeD TreeDBuilt
TreeDBuilt AssignTicket TicketAssigned
TicketAssigned PC1 PC1Done
PC1Done PC2 PC2Done
PC2Done SubmitPC PCSubmitted
PCSubmitted ReSubmitPC PC2Done
PCSubmitted CheckPC PCLanded
PCLanded Persist Persisted
Persisted SubmitPersistance PersistanceSubmitted
PersistanceSubmitted AssignSeed SeedAssigned
SeedAssigned C1 C1Done
C1Done C2 C2Done
C2Done SubmitProof ProofSubmitted
ProofSubmitted ReSubmitProof C2Done
ProofSubmitted Finish Finished`,
  snapup: `
Empty AllocatedSnapUpSector Allocated
Allocated AddPiece PieceAdded
PieceAdded BuildTreeD TreeDBuilt
TreeDBuilt SnapEncode SnapEncoded
SnapEncoded SnapProve SnapProved
SnapProved Persist Persisted
Persisted RePersist SnapProved
Persisted Finish Finished`,
  rebuild: `
Empty AllocatedRebuildSector Allocated
Allocated AddPiece PieceAdded
PieceAdded BuildTreeD TreeDBuilt
TreeDBuilt PC1 PC1Done
PC1Done PC2 PC2Done
PC2Done CheckSealed SealedChecked
SealedChecked SkipSnap SnapDone
SealedChecked AddPiece SnapPieceAdded
SnapPieceAdded BuildTreeD SnapTreeDBuilt
SnapTreeDBuilt SnapEncode SnapEncoded
SnapEncoded SnapProve SnapDone
SnapDone Persist Persisted
Persisted SubmitPersistance Finished`,
  unseal: `
Empty AllocatedUnsealSector Allocated
Allocated UnsealDone Unsealed
Unsealed UploadPieceDone Finished`,
};

describe('plans', () => {
  test('the tables are the documented ones, state for state', () => {
    const drawn = Object.entries(FLOWS).map(([plan, flow]) => {
      const table: Record<string, Record<string, string>> = { Finished: {}, Aborted: {} };
      for (const line of flow.trim().split('\n')) {
        const [from, event, to] = line.split(' ') as [string, string, string];
        table[from] = { ...table[from], [event]: to };
      }
      return [plan, table];
    });
    expect(planTables()).toEqual(Object.fromEntries(drawn));
  });

  test('an event that a state does not have is refused, whatever its name', () => {
    const { table } = PLANS.sealer;
    fc.assert(
      fc.property(
        fc.constantFrom(...Object.keys(table), 'constructor', 'toString'),
        fc.oneof(fc.string(), fc.constantFrom('Allocate', 'PC1', '__proto__', 'hasOwnProperty')),
        (state, event) => {
          const known = Object.hasOwn(table, state) && Object.hasOwn(table[state] ?? {}, event);
          if (known) expect(Object.keys(table)).toContain(next(table, state, event));
          else expect(() => next(table, state, event)).toThrow(IllegalTransition);
        },
      ),
    );
  });

  test('every state of the order leads to a final one', () => {
    for (const plan of Object.values(PLANS)) {
      for (const state of plan.order) {
        const seen = new Set<string>();
        const walk = (at: string): boolean =>
          isFinal(at) || (!seen.has(at) && Boolean(seen.add(at)) && Object.values(plan.table[at] ?? {}).some(walk));
        expect({ state, ends: walk(state) }).toEqual({ state, ends: true });
      }
    }
  });
});

test('waits grow, stay within a quarter of the bound, and never reach zero', () => {
  const retry = { firstWaitMs: 1_000, maxWaitMs: 600_000, maxRetries: 12 };
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 10_000 }), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (failures, jitter) => {
      const wait = waitMs(retry, failures, jitter);
      expect(wait).toBeGreaterThanOrEqual(750);
      expect(wait).toBeLessThanOrEqual(750_000);
      expect(waitMs(retry, failures + 1, jitter)).toBeGreaterThanOrEqual(wait);
    }),
  );
});

test('seal proofs have the numbers of the chain', () => {
  const numbers = SealProof.options.map((name) => sealProofInfo(name).number);
  expect(numbers).toEqual([5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
  expect(treeCNames('StackedDrg32GiBV1_1')).toHaveLength(8);
  expect(treeRLastNames('StackedDrg64GiBV1_1')).toContain('cache/sc-02-data-tree-r-last-15.dat');
  expect(treeRLastNames('StackedDrg2KiBV1_1')).toEqual(['cache/sc-02-data-tree-r-last.dat']);
});

test('pieces are aligned to their own size', () => {
  expect(alignedBytes([512, 1024])).toBe(2048);
  expect(alignedBytes([1024, 512])).toBe(1536);
  expect(alignedBytes([])).toBe(0);
});
