/**
 * Moves of sectors' files to other paths of the same runner, one sector of a path at a time: those of a path that is drained, and those
 * that somebody asked for. A move is a copy, whose files agree with the hashes; then the record names the new path and whoever does
 * Window PoSt is told; only then the old files go. Each step is written down before it is asked for and may be asked for again, so that
 * a crash anywhere loses nothing.
 */
import { type Choice, choosePath, isBucket } from '../schema/miner-storage.ts';
import { SealpoolError } from '../schema/problem.ts';
import type { SectorRecord } from '../schema/sector-record.ts';
import type { StoredMove, StoredMoveAnswer } from '../schema/stored-move.ts';
import type { Context } from './context.ts';
import { declareRecord, maySeekElsewhere } from './declared.ts';
import type { EffectRow } from './effects.ts';
import { audit, noteStored, type Who } from './happened.ts';
import { againstMove, isBusy, knownFiles, needsTelling, sizeOf } from './movable.ts';
import { drainingKey, isDraining, setCordoned, standingOf } from './miner-storage.ts';
import { endStranded, inHand, recordedIn, underWay } from './move-steps.ts';
import type { RunnerRow } from './ports.ts';
import { newMove } from './requested-moves.ts';
import type { StorageMove, StoragePathRow } from './storage-rows.ts';

/** A move that failed is tried again after so long. */
const RETRY_MS = 600_000;
/** With so many that failed or wait at their end nothing more is begun: what stands against them stands against others. */
const MOST_FAILED = 10;
/** Jobs write it anew where the sector's files are; all other files stay as they are. */
const isRewritten = (path: string): boolean => path.endsWith('/sector.json');

/** Empties a storage, and keeps new sectors out of it. `force`: also where nobody is told that files are elsewhere. Throws `conflict`. */
export function drain(ctx: Context, storage: string, who: Who, force: boolean): void {
  needsTelling(ctx, 'drain', force);
  if (ctx.tx.storagePaths().some(({ path }) => path.id === storage && isBucket(path.path))) {
    throw new SealpoolError(
      'conflict',
      'bucket_not_drained',
      `storage ${storage} is a bucket, and files are moved between folders only; cordon it to keep new sectors out, or copy its objects with a tool for buckets and name the new place under the same id in runner.storage`,
    );
  }
  setCordoned(ctx, storage, true, who);
  if (isDraining(ctx, storage)) return;
  ctx.tx.setMeta(drainingKey(storage), String(ctx.nowMs));
  audit(ctx, who, 'storage.draining', { storage });
  ctx.signals.add('runners');
}

/** Sectors that are in the old path still stay there; what is moved already is moved to its end. */
export function stopDraining(ctx: Context, storage: string, who: Who): void {
  if (!isDraining(ctx, storage)) return;
  ctx.tx.setMeta(drainingKey(storage), '');
  audit(ctx, who, 'storage.drain_stopped', { storage });
  for (const move of ctx.tx.storageMoves()) {
    if (move.from !== storage || move.cause === 'request') continue;
    if (move.phase === 'failed') ctx.tx.deleteStorageMove(move.miner, move.number);
    if (move.phase === 'copy' && recordedIn(ctx, move) === move.from) put(ctx, { ...move, phase: 'undo', asked: null, why: null });
  }
  ctx.signals.add('runners');
}

/** Steps for the runner: those of moves under way that nobody does now, and of each path a next sector. */
export function dueMoves(ctx: Context, runner: RunnerRow): StoredMove[] {
  if (runner.status !== 'ready') return [];
  const paths = ctx.tx.storagePaths(runner.id);
  if (paths.length === 0) return [];
  const own = new Set(paths.map(({ path }) => path.id));
  const moves = endStranded(ctx).filter(({ from, to }) => own.has(from) && own.has(to));
  return paths.flatMap((row) => {
    const mine = moves.filter(({ from }) => from === row.path.id);
    const live = mine.filter((move) => move.phase !== 'failed' && !waits(ctx, move));
    const held = live.filter((move) => isHeld(ctx, move));
    const due = steps(ctx, runner, live);
    if (live.length > held.length || row.path.problem !== null) return due;
    const failed = mine.filter(({ phase }) => phase === 'failed');
    const next = again(ctx, runner, failed, paths) ?? fresh(ctx, row, paths, failed.length + held.length);
    return next === undefined ? due : [...due, ...ask(ctx, runner, next)];
  });
}

/** A copy is made, and what is to be removed stays for now: a job has the sector, or the runner said that it cannot. Others are begun beside it. */
function isHeld(ctx: Context, move: StorageMove): boolean {
  const { phase, asked, miner, number } = move;
  if ((phase !== 'drop' && phase !== 'undo') || inHand(ctx, move)) return false;
  return asked?.failed === true || (phase === 'drop' && isBusy(ctx, miner, number));
}

/** A copy that was not begun, or whose process has ended, waits while a job has the sector; others go on meanwhile. */
function waits(ctx: Context, move: StorageMove): boolean {
  if (move.phase !== 'copy' || underWay(ctx, move) || recordedIn(ctx, move) === move.to) return false;
  return isBusy(ctx, move.miner, move.number);
}

/** One copy of a path at a time; what else is due goes along. */
function steps(ctx: Context, runner: RunnerRow, live: readonly StorageMove[]): StoredMove[] {
  const copies = live.filter(({ phase }) => phase === 'copy');
  const asked = live.filter(({ phase }) => phase !== 'copy').flatMap((move) => ask(ctx, runner, move));
  if (copies.some((move) => underWay(ctx, move))) return asked;
  for (const move of copies) {
    const fitting = asRecorded(ctx, move);
    const step = fitting === undefined ? [] : ask(ctx, runner, fitting);
    if (step.length > 0) return [...asked, ...step];
  }
  return asked;
}

/** With the files that the record has now: while it waited, a job may have stored others. One whose sector is elsewhere is taken back. */
function asRecorded(ctx: Context, move: StorageMove): StorageMove | undefined {
  const record = ctx.tx.sectorRecord(move.miner, move.number);
  if (record?.files?.storage === move.to) return move;
  const files = record?.files?.storage === move.from ? knownFiles(record) : [];
  if (record !== undefined && files.length > 0) return { ...move, files, sizeBytes: sizeOf(record) };
  if (move.asked === null) ctx.tx.deleteStorageMove(move.miner, move.number);
  else put(ctx, { ...move, phase: 'undo', asked: null, why: null });
  return undefined;
}

/** Asks for the step, unless it is under way, waits for somebody to be told, or a job has the sector. */
function ask(ctx: Context, runner: RunnerRow, move: StorageMove): StoredMove[] {
  const { phase, miner, number, from, to } = move;
  if (phase === 'declare' || phase === 'failed' || underWay(ctx, move)) return [];
  if (phase === 'drop' && isBusy(ctx, miner, number)) return [];
  // The record names the old files again, as that of an older list does: it is the copy that goes.
  if (phase === 'drop' && recordedIn(ctx, move) === from) return ask(ctx, runner, { ...move, phase: 'undo', why: null });
  if (phase === 'undo' && recordedIn(ctx, move) === to) {
    // What was made there is the sector's by now.
    ctx.tx.deleteStorageMove(miner, number);
    return [];
  }
  const asked = { runner: runner.id, bootId: runner.bootId ?? '', atMs: ctx.nowMs };
  if (phase !== 'copy' && maySeekElsewhere(ctx, move)) {
    // Since a restore nobody knows where the files are looked for. The old ones go once the new are told of; a copy that is not wanted stays.
    if (phase === 'drop') put(ctx, { ...move, phase: 'copy', asked: null });
    else undone(ctx, { ...move, asked });
    return [];
  }
  const { files, sizeBytes } = namedNow(ctx, move);
  put(ctx, { ...move, files, sizeBytes, asked });
  return [{ step: phase, miner, number, from, to, asked: ctx.nowMs, files: [...files] }];
}

/** Where the record is in the new path by now, the files that it has now: a job may have stored others since. What one may write just now is left to it. */
function namedNow(ctx: Context, move: StorageMove): Pick<StorageMove, 'files' | 'sizeBytes'> {
  const record = ctx.tx.sectorRecord(move.miner, move.number);
  if (record?.files?.storage !== move.to) return move;
  const busy = isBusy(ctx, move.miner, move.number);
  return { files: (record.files.files ?? []).filter(({ path }) => !busy || !isRewritten(path)), sizeBytes: sizeOf(record) };
}

/** A move that failed long enough ago: one that was asked for to the same path, one of a drain to another where there is one. */
function again(ctx: Context, runner: RunnerRow, failed: readonly StorageMove[], paths: readonly StoragePathRow[]): StorageMove | undefined {
  for (const move of failed) {
    if (move.asked !== null && ctx.nowMs - move.asked.atMs < RETRY_MS) continue;
    const { miner, number, from, to } = move;
    const record = ctx.tx.sectorRecord(miner, number);
    ctx.tx.deleteStorageMove(miner, number);
    if (record?.files?.storage !== from) continue;
    if (!isDraining(ctx, from)) {
      if (move.cause === 'drain') continue;
      const begun = retried(ctx, runner, move, record);
      if (begun !== undefined) return begun;
      continue;
    }
    if (isBusy(ctx, miner, number) || (ctx.tx.storedSector(miner, number)?.damage.length ?? 0) > 0) continue;
    const begun = begin(ctx, record, paths, to);
    if (begun !== undefined) return begun;
  }
  return undefined;
}

/** Begins it anew, or keeps it with what stands against it now. */
function retried(ctx: Context, runner: RunnerRow, move: StorageMove, record: SectorRecord): StorageMove | undefined {
  const why = againstMove(ctx, record, move.to);
  if (why !== undefined) {
    put(ctx, { ...move, why, asked: { runner: runner.id, bootId: runner.bootId ?? '', atMs: ctx.nowMs } });
    return undefined;
  }
  const begun = newMove({ ...move, sizeBytes: sizeOf(record), files: record.files?.files ?? [] });
  put(ctx, begun);
  return begun;
}

function fresh(ctx: Context, { path }: StoragePathRow, paths: readonly StoragePathRow[], failed: number): StorageMove | undefined {
  if (!isDraining(ctx, path.id) || failed >= MOST_FAILED) return undefined;
  const [record] = ctx.tx.movableIn(path.id, 1);
  return record === undefined ? undefined : begin(ctx, record, paths, undefined);
}

function destination(ctx: Context, record: SectorRecord, paths: readonly StoragePathRow[], failed: string | undefined): Choice {
  // Into a bucket only Persist goes.
  const others = paths.filter(({ path }) => path.id !== record.files?.storage && !isBucket(path.path)).map(({ path }) => path);
  if (others.length === 0) return { why: `its runner has no other path${paths.length > 1 ? ' that is a folder' : ''}` };
  const standing = standingOf(ctx);
  return choosePath(
    others.map((path) => [path, standing(path.id)]),
    record.miner,
    sizeOf(record),
    { failed: new Set(failed === undefined ? [] : [failed]) },
  );
}

function begin(ctx: Context, record: SectorRecord, paths: readonly StoragePathRow[], failed: string | undefined): StorageMove | undefined {
  const chosen = destination(ctx, record, paths, failed);
  const known = knownFiles(record);
  if ('why' in chosen || record.files === null || known.length === 0) return undefined;
  const { miner, number, files } = record;
  const about = { miner, number, from: files.storage, to: chosen.id, sizeBytes: sizeOf(record), files: known };
  const move = newMove(about, 'drain');
  put(ctx, move);
  return move;
}

/** Records what came of steps; answers to what was not asked for, or was asked of another, say nothing. */
export function takeMoves(ctx: Context, runner: RunnerRow, answers: readonly StoredMoveAnswer[]): void {
  for (const answer of answers) {
    const move = ctx.tx.storageMove(answer.miner, answer.number);
    if (move === undefined || move.asked?.runner !== runner.id) continue;
    if (move.phase !== answer.step || move.from !== answer.from || move.to !== answer.to) continue;
    // One that the network held up tells of an earlier asking: what it did may have been undone since.
    if (answer.asked !== undefined && answer.asked !== move.asked.atMs) continue;
    // A job writes some anew: what is bad then is found when it has ended.
    const rewritten = answer.outcome === 'bad' && isBusy(ctx, answer.miner, answer.number);
    if (answer.outcome === 'bad' && !rewritten) tellBad(ctx, runner, move, answer);
    if (rewritten && answer.step === 'drop' && answer.bad.every(({ path }) => isRewritten(path))) put(ctx, { ...move, asked: null });
    else take(ctx, runner, move, answer);
  }
}

function take(ctx: Context, runner: RunnerRow, move: StorageMove, { step, outcome, message }: StoredMoveAnswer): void {
  const next = { ...move, asked: null };
  if (outcome === 'done') {
    if (step === 'copy') copied(ctx, runner, next);
    else if (step === 'drop') dropped(ctx, move);
    else undone(ctx, move);
    return;
  }
  // The sector's files are in the new path already: they are made good from the old ones, which stay till then.
  if (step === 'drop' && outcome === 'bad') put(ctx, { ...next, phase: 'copy', why: 'the new files are not as they were made' });
  else if (step === 'copy' && recordedIn(ctx, move) === move.from)
    put(ctx, { ...next, phase: 'undo', why: outcome === 'bad' ? whyBad(move) : message });
  // Nothing is left to make them good from; the sector is told of as damaged.
  else if (step === 'copy' && outcome === 'bad')
    put(ctx, { ...move, phase: 'failed', why: 'files are bad on both sides; rebuild the sector' });
  // Asked for again after a while, not at once. One that was stopped stays so.
  else put(ctx, { ...move, why: step === 'undo' ? move.why : message, asked: move.asked && { ...move.asked, failed: true } });
}

function undone(ctx: Context, move: StorageMove): void {
  if (move.why === null) ctx.tx.deleteStorageMove(move.miner, move.number);
  else put(ctx, { ...move, phase: 'failed' });
}

/** A drain leaves out what is bad; whoever asked for the move is told of it. */
const whyBad = ({ cause }: StorageMove): string | null => (cause === 'drain' ? null : 'files of it are bad; rebuild it first');

/** The new files agree: from now on they are the sector's, unless somebody used or changed the old ones meanwhile. */
function copied(ctx: Context, runner: RunnerRow, move: StorageMove): void {
  const { miner, number, from, to, files } = move;
  const record = ctx.tx.sectorRecord(miner, number);
  const there = record?.files;
  const healed = there?.storage === to;
  const recorded = new Set((record === undefined ? [] : knownFiles(record)).map((file) => JSON.stringify(file)));
  const same = files.every((file) => recorded.has(JSON.stringify(file))) && (healed || recorded.size === files.length);
  if (record === undefined || !same || (!healed && (there?.storage !== from || isBusy(ctx, miner, number)))) {
    put(ctx, { ...move, phase: 'undo', why: 'a job took the sector meanwhile' });
    return;
  }
  ctx.tx.setChecked(miner, number, ctx.nowMs, []);
  if (healed && !maySeekElsewhere(ctx, move)) {
    put(ctx, { ...move, phase: 'drop', why: null });
    return;
  }
  const root = ctx.tx.storagePaths(runner.id).find(({ path }) => path.id === to)?.path.path ?? '';
  const moved = healed ? record : { ...record, files: { storage: to, root, files: [...files] } };
  if (!healed) ctx.tx.putSectorRecord(moved);
  const tells = ctx.settings.declares === true;
  put(ctx, { ...move, phase: tells ? 'declare' : 'drop', why: null });
  if (tells) declareRecord(ctx, moved, from);
  else ctx.tx.setDeclared(miner, number, 'no');
}

function dropped(ctx: Context, { miner, number, from, to }: StorageMove): void {
  ctx.tx.deleteStorageMove(miner, number);
  audit(ctx, 'engine', 'storage.moved', { sector: `s-${miner}-${number}`, from, to });
}

/** Whoever does Window PoSt sees the new files: the old ones may go. */
export function moveDeclared(ctx: Context, { want }: EffectRow): void {
  if (want.kind !== 'declare') return;
  const move = ctx.tx.storageMove(want.miner, want.number);
  if (move?.phase !== 'declare' || move.to !== want.storage) return;
  put(ctx, { ...move, phase: 'drop', asked: null });
  ctx.signals.add('runners');
}

/** A bad file stands with its sector and is told as an event; one that is not moved for it stays where it is. */
function tellBad(ctx: Context, runner: RunnerRow, { miner, number, from, to, files }: StorageMove, { step, bad }: StoredMoveAnswer): void {
  const storage = step === 'copy' ? from : to;
  const recorded = ctx.tx.sectorRecord(miner, number)?.files;
  // Where a job stored other files meanwhile, these were not what the sector has.
  if (recorded?.storage !== storage || JSON.stringify(recorded.files) !== JSON.stringify(files)) return;
  ctx.tx.setChecked(miner, number, ctx.nowMs, bad);
  for (const file of bad) noteStored(ctx, runner.id, miner, { sector: `s-${miner}-${number}`, storage, ...file });
}

/** Why what is left in a path that is drained does not move; null: it does, or nothing is left. */
export function stays(ctx: Context, row: StoragePathRow): string | null {
  const { id } = row.path;
  const left = ctx.tx.countSectorsIn(id);
  const moves = ctx.tx.storageMoves().filter(({ from }) => from === id);
  const stuck = moves.find(({ why }) => why !== null);
  if (stuck !== undefined) return `s-${stuck.miner}-${stuck.number} goes on by itself, it waits: ${stuck.why}`;
  if (!isDraining(ctx, id) || left === 0 || moves.length > 0) return null;
  const [record] = ctx.tx.movableIn(id, 1);
  if (record === undefined) return `${left} sectors have a live job, files that are bad, or files whose hashes nobody knows`;
  const chosen = destination(ctx, record, ctx.tx.storagePaths(row.runner), undefined);
  return 'why' in chosen ? chosen.why : null;
}

const put = (ctx: Context, move: StorageMove): void => ctx.tx.putStorageMove(move);
