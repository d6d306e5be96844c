/** A runner with paths of miner storage and sectors in the first of them, for tests of moves. */
import { expect, onTestFinished } from 'vitest';
import type { Context, Settings } from '../../src/scheduler/context.ts';
import { noteStorage } from '../../src/scheduler/miner-storage.ts';
import type { RunnerRow } from '../../src/scheduler/ports.ts';
import { requestMoves, stopMoves } from '../../src/scheduler/requested-moves.ts';
import { dueMoves, takeMoves } from '../../src/scheduler/storage-moves.ts';
import type { StorageMove } from '../../src/scheduler/storage-rows.ts';
import type { StoragePath } from '../../src/schema/miner-storage.ts';
import type { StoredMove, StoredMoveAnswer } from '../../src/schema/stored-move.ts';
import { sectorRecord, storagePath } from '../store/rows.ts';
import { MINER, World } from './world.ts';

export const fileOf = (number: number) => ({ path: `sealed/s-t01000-${number}`, sizeBytes: '2048', hash: `sha256:${'ab'.repeat(32)}` });
export const roomy = (id: string, change: Partial<StoragePath> = {}) => ({ ...storagePath(id), freeBytes: 2 ** 40, ...change });
const who = 'operator:test';

/** Paths `main`, which has sectors 1 … `sectors`, and `other`. */
export async function movesWorld({ settings = {}, sectors = 1 }: { settings?: Partial<Settings>; sectors?: number } = {}) {
  const world = new World({ declares: true, ...settings });
  onTestFinished(() => world.close());
  await world.start();
  const { id } = await world.register('worker');
  const row = (ctx: Context): RunnerRow => ctx.tx.runner(id) as RunnerRow;
  const tell = (...paths: StoragePath[]) => world.run((ctx) => noteStorage(ctx, row(ctx), paths));
  await tell(roomy('main'), roomy('other'));
  await world.run((ctx) => {
    for (let number = 1; number <= sectors; number += 1)
      ctx.tx.putSectorRecord(sectorRecord(number, { files: { storage: 'main', root: '/mnt/main', files: [fileOf(number)] } }));
  });
  const due = () => world.run((ctx) => dueMoves(ctx, row(ctx)));
  const answer = ({ files: _files, ...about }: StoredMove, change: Partial<StoredMoveAnswer> = {}) =>
    world.run((ctx) => takeMoves(ctx, row(ctx), [{ ...about, outcome: 'done', bad: [], message: null, ...change }]));
  const sectorsOf = (numbers: readonly number[]) => numbers.map((number) => ({ miner: MINER, number }));
  return {
    world,
    id,
    row,
    tell,
    due,
    answer,
    /** The only step that is due. */
    one: async (): Promise<StoredMove> => {
      const found = await due();
      expect(found).toHaveLength(1);
      return found[0] as StoredMove;
    },
    request: (numbers: readonly number[], to = 'other', force = false) =>
      world.run((ctx) => requestMoves(ctx, sectorsOf(numbers), to, who, force)),
    stop: (numbers: readonly number[]) => world.run((ctx) => stopMoves(ctx, sectorsOf(numbers), who)),
    storageOf: (number = 1) => world.run((ctx) => ctx.tx.sectorRecord(MINER, number)?.files?.storage),
    move: (number = 1): Promise<StorageMove | undefined> => world.run((ctx) => ctx.tx.storageMove(MINER, number)),
    declared: async () => {
      const effect = (await world.effects()).find(({ want }) => want.kind === 'declare');
      if (effect !== undefined) await world.perform(effect);
      return effect?.want;
    },
    actions: () => world.run((ctx) => ctx.tx.eventsAfter(0, 1_000, { kinds: ['audit'] }).map(({ detail }) => detail['action'])),
  };
}
