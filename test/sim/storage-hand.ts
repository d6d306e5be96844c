/** An operator's hand on miner storage, and what befalls its disks. */
import { declareAllIn } from '../../src/scheduler/declared.ts';
import { setCordoned } from '../../src/scheduler/miner-storage.ts';
import { drain, stopDraining } from '../../src/scheduler/storage-moves.ts';
import { SealpoolError } from '../../src/schema/problem.ts';
import type { Action, StorageAct } from './script.ts';
import { ACTOR, type World } from './world.ts';

/** As the routes of storage do it. A refusal says why, and is no failure of ours. */
export async function storageHand(world: World, storage: string, act: StorageAct): Promise<void> {
  const { plane, script } = world;
  const declares = script.storage?.declares === true;
  world.strike('storage', `an operator's hand on ${storage}: ${act}`);
  try {
    await plane?.run((ctx) => {
      if (act === 'cordon') setCordoned(ctx, storage, true, ACTOR);
      if (act === 'drain') drain(ctx, storage, ACTOR, !declares);
      if (act === 'declare') declareAllIn(ctx, storage);
      if (act === 'stop') {
        setCordoned(ctx, storage, false, ACTOR);
        stopDraining(ctx, storage, ACTOR);
      }
      if (act === 'scrub') {
        ctx.signals.add('runners');
        ctx.tx.checkAllIn(storage);
      }
    });
  } catch (error) {
    if (error instanceof SealpoolError && error.kind === 'internal') world.breach('refusal', `${act} of ${storage}: ${error.message}`);
    world.note(`${act} of ${storage}: ${(error as Error).message}`);
  }
}

/** A disk fails for a while. */
export async function diskFails(world: World, { disk: at, act, ms }: Extract<Action, { do: 'disk' }>): Promise<void> {
  const disk = world.disks.all[at];
  if (disk === undefined) return;
  world.strike('storage', `${disk.id}: ${act} for ${ms} ms`);
  const set = (on: boolean): void => {
    if (act === 'away') disk.away = on;
    if (act === 'read_only') disk.readOnly = on;
    if (act === 'full') disk.othersBytes = on ? disk.totalBytes : 0;
  };
  set(true);
  await world.clock.sleep(ms);
  set(false);
}

/** Every disk is well, nothing is kept out of any, and of those that are emptied only the first goes on. */
export async function mendStorage(world: World): Promise<void> {
  if (!world.disks.told) return;
  world.disks.mend();
  world.errandFaults.length = 0;
  for (const { id } of world.disks.all.slice(1)) await storageHand(world, id, 'stop');
  if (!world.reader.draining().includes(world.disks.first.id)) await storageHand(world, world.disks.first.id, 'stop');
}
