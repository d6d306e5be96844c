/** Moves of single sectors that an operator asks for: to a path that is named, beside those of paths that are drained. */
import { type MinerId, sectorName } from '../schema/ids.ts';
import { SealpoolError } from '../schema/problem.ts';
import type { Context } from './context.ts';
import { audit, type Who } from './happened.ts';
import { againstMove, needsTelling, sizeOf } from './movable.ts';
import { recordedIn } from './move-steps.ts';
import type { StorageMove } from './storage-rows.ts';

type Sector = { readonly miner: MinerId; readonly number: number };

/** Refusals that are told in the sentence; all of them are in `extra`. */
const MOST_TOLD = 5;

/**
 * Begins moving each of the sectors to the path `to`, or none: one that is on its way there already is answered as it stands.
 * `force`: also where nobody is told that files are elsewhere. Throws `not_found` for a storage or a sector that is not there,
 * `conflict` naming each sector that cannot move and what to do.
 */
export function requestMoves(ctx: Context, sectors: readonly Sector[], to: string, who: Who, force: boolean): StorageMove[] {
  if (!ctx.tx.storagePaths().some(({ path }) => path.id === to))
    throw new SealpoolError('not_found', 'not_found', `no runner has a storage ${to}; look at sealpool storage list`);
  needsTelling(ctx, 'move', force);
  const refusals: Record<string, string> = {};
  const moves: StorageMove[] = [];
  const begun: StorageMove[] = [];
  let promised = 0;
  for (const { miner, number } of unique(sectors)) {
    const under = ctx.tx.storageMove(miner, number);
    if (under !== undefined && under.to === to && under.phase !== 'undo' && under.phase !== 'failed') {
      moves.push(under);
      continue;
    }
    const record = ctx.tx.sectorRecord(miner, number);
    const name = sectorName(miner, number);
    if (record?.files?.storage === undefined)
      throw new SealpoolError('not_found', 'not_found', `there is no stored sector ${name}; look at sealpool sectors list`);
    const why = againstUnderWay(under) ?? againstMove(ctx, record, to, promised);
    if (why !== undefined) {
      refusals[name] = why;
      continue;
    }
    const move = newMove({ miner, number, from: record.files.storage, to, sizeBytes: sizeOf(record), files: record.files.files ?? [] });
    promised += move.sizeBytes;
    begun.push(move);
    moves.push(move);
  }
  refuse(refusals);
  for (const move of begun) ctx.tx.putStorageMove(move);
  if (begun.length > 0) audit(ctx, who, 'storage.move_requested', { to, sectors: begun.length, first: namesOf(begun) });
  ctx.signals.add('runners');
  return moves;
}

/**
 * Ends moves that were asked for: files that are in the old path still stay there, and what was made in the new one is removed.
 * Answers those that were under way. Throws `conflict` for one that is recorded in its new path already, or that a drain makes.
 */
export function stopMoves(ctx: Context, sectors: readonly Sector[], who: Who): StorageMove[] {
  const refusals: Record<string, string> = {};
  const moves: StorageMove[] = [];
  for (const { miner, number } of unique(sectors)) {
    const move = ctx.tx.storageMove(miner, number);
    if (move === undefined) continue;
    const why = againstStop(ctx, move);
    if (why === undefined) moves.push(move);
    else refusals[sectorName(miner, number)] = why;
  }
  refuse(refusals);
  for (const move of moves) {
    // Nothing of it was made yet, or nothing is left of it.
    if (move.phase === 'failed' || (move.phase === 'copy' && move.asked === null)) ctx.tx.deleteStorageMove(move.miner, move.number);
    else ctx.tx.putStorageMove({ ...move, phase: 'undo', asked: move.phase === 'undo' ? move.asked : null, why: null });
  }
  if (moves.length > 0) audit(ctx, who, 'storage.move_stopped', { sectors: moves.length, first: namesOf(moves) });
  ctx.signals.add('runners');
  return moves;
}

/** A move whose first step was not asked of anybody yet. */
export const newMove = (
  about: Omit<StorageMove, 'phase' | 'cause' | 'asked' | 'why'>,
  cause: StorageMove['cause'] = 'request',
): StorageMove => ({
  ...about,
  phase: 'copy',
  cause,
  asked: null,
  why: null,
});

/** One that failed, and of which nothing is left, may go elsewhere. */
function againstUnderWay(move: StorageMove | undefined): string | undefined {
  if (move === undefined || move.phase === 'failed') return undefined;
  if (move.phase === 'undo')
    return `what was made of it in storage ${move.to} is being removed; ask again once sealpool storage find shows no move`;
  return `it is on its way from storage ${move.from} to ${move.to} (${move.phase}); ask again when it is there, or stop that move first (--stop)`;
}

function againstStop(ctx: Context, move: StorageMove): string | undefined {
  if (move.cause === 'drain') return `it moves since storage ${move.from} is drained; sealpool storage uncordon ${move.from} ends that`;
  if (recordedIn(ctx, move) === move.to)
    return `its files are in storage ${move.to} by now and the old ones are about to go; move it back afterwards`;
  return undefined;
}

function unique(sectors: readonly Sector[]): Sector[] {
  return [...new Map(sectors.map((one) => [sectorName(one.miner, one.number), one])).values()];
}

const namesOf = (moves: readonly StorageMove[]): string[] => moves.slice(0, 20).map(({ miner, number }) => sectorName(miner, number));

function refuse(refusals: Readonly<Record<string, string>>): void {
  const all = Object.entries(refusals);
  if (all.length === 0) return;
  const told = all.slice(0, MOST_TOLD).map(([name, why]) => `${name}: ${why}`);
  const more = all.length > MOST_TOLD ? `; and ${all.length - MOST_TOLD} more` : '';
  throw new SealpoolError('conflict', 'not_movable', `nothing was changed: ${told.join('; ')}${more}`, { refused: refusals });
}
