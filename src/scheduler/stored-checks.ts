/** Stored files are read against their hashes on a schedule: which sector's turn it is, and what was found. */
import type { StoredCheck, StoredCheckAnswer } from '../schema/stored-check.ts';
import type { Context } from './context.ts';
import { noteStored } from './happened.ts';
import { isBusy } from './movable.ts';
import type { RunnerRow } from './ports.ts';

/** Sectors looked at for one whose files' hashes are known. */
const LOOK_AT = 20;
/** A check that was never answered is asked for again after so long at least, and after twice the time that reading takes. */
const FORGOTTEN_MS = 3_600_000;

/** For each of the runner's paths that reads nothing now: the files of the sector that waits longest. It is written down as asked for. */
export function dueChecks(ctx: Context, runner: RunnerRow): StoredCheck[] {
  const { scrub } = ctx.settings;
  if (scrub === undefined || runner.status !== 'ready') return [];
  return ctx.tx.storagePaths(runner.id).flatMap((row) => {
    const { id, problem } = row.path;
    if (problem !== null || busy(ctx, row.checking, scrub.bytesPerS)) return [];
    for (const { miner, number, files } of ctx.tx.uncheckedIn(id, ctx.nowMs - scrub.everyMs, LOOK_AT)) {
      const known = files?.files ?? [];
      if (known.length === 0) {
        // Nobody knows what its files should be: it was imported without hashes.
        ctx.tx.setChecked(miner, number, ctx.nowMs, []);
        continue;
      }
      ctx.tx.putStoragePath({ ...row, checking: { miner, number, sinceMs: ctx.nowMs } });
      return [{ storage: id, miner, number, files: [...known], bytesPerS: scrub.bytesPerS }];
    }
    return [];
  });
}

/** Whether a check that was asked for may still be answered. */
function busy(ctx: Context, checking: ReturnType<Context['tx']['storagePaths']>[number]['checking'], bytesPerS: number): boolean {
  if (checking === null) return false;
  const files = ctx.tx.sectorRecord(checking.miner, checking.number)?.files?.files ?? [];
  const bytes = files.reduce((sum, { sizeBytes }) => sum + Number(sizeBytes), 0);
  return ctx.nowMs - checking.sinceMs < FORGOTTEN_MS + (2_000 * bytes) / bytesPerS;
}

/**
 * Records answers; those that were not asked for, or whose files are elsewhere by now or were stored anew meanwhile, say nothing.
 * Bad files are told as events.
 */
export function takeChecks(ctx: Context, runner: RunnerRow, answers: readonly StoredCheckAnswer[]): void {
  for (const { storage, miner, number, outcome, bad } of answers) {
    const row = ctx.tx.storagePaths(runner.id).find(({ path }) => path.id === storage);
    if (row?.checking?.miner !== miner || row.checking.number !== number) continue;
    const { sinceMs } = row.checking;
    ctx.tx.putStoragePath({ ...row, checking: null });
    const before = ctx.tx.storedSector(miner, number);
    if (outcome === 'away' || before?.record.files?.storage !== storage) continue;
    // A job stores others: it is read again when that has ended.
    if (isBusy(ctx, miner, number) || (before.checkedMs ?? 0) > sinceMs) continue;
    ctx.tx.setChecked(miner, number, ctx.nowMs, bad);
    const known = new Set(before.damage.map(({ path }) => path));
    for (const file of bad)
      if (!known.has(file.path)) noteStored(ctx, runner.id, miner, { sector: `s-${miner}-${number}`, storage, ...file });
  }
}
