/** Telling whoever does Window PoSt of stored files that no job is about: those of sectors that were finished while nobody was told. */
import type { MinerId } from '../schema/ids.ts';
import { SealpoolError } from '../schema/problem.ts';
import { sealProofInfo } from '../schema/seal-proof.ts';
import type { SectorRecord } from '../schema/sector-record.ts';
import { wantBesideJobs } from './change.ts';
import type { Context } from './context.ts';
import type { EffectRow } from './effects.ts';

/** The step of such effects. */
const DECLARE = 'DeclareStored';
/** So many in one transaction. */
const AT_ONCE = 500;

/** Set by a restore, for good: the database that was lost may have moved files and told of it. */
const TOLD_BY_A_LOST_ONE = 'told_by_a_lost_one';

/** After a restore: what was told since the backup was made nobody knows, so every sector counts as not told of until it is told anew. */
export function forgetDeclared(ctx: Context): void {
  if (ctx.settings.declares !== true) return;
  ctx.tx.forgetDeclared();
  ctx.tx.setMeta(TOLD_BY_A_LOST_ONE, 'yes');
}

/** Whether whoever does Window PoSt may look for the sector's files where a lost database had put them. */
export function maySeekElsewhere(ctx: Context, { miner, number }: { readonly miner: MinerId; readonly number: number }): boolean {
  if (ctx.settings.declares !== true || (ctx.tx.meta(TOLD_BY_A_LOST_ONE) ?? '') === '') return false;
  return ctx.tx.storedSector(miner, number)?.declared === 'no';
}

/** Has what is in a storage declared, as far as nobody was told of it; answers how many sectors. Throws `conflict` where there is nobody to tell. */
export function declareAllIn(ctx: Context, storage: string): number {
  if (ctx.settings.declares !== true) {
    throw new SealpoolError(
      'conflict',
      'nobody_to_tell',
      'the configuration names nobody who is told of stored files; set storage.declare to "lotus" or "command", and start the control plane again',
    );
  }
  const found = ctx.tx.undeclaredIn(storage, AT_ONCE);
  for (const record of found) declareRecord(ctx, record, null);
  return found.length;
}

/** Declares all files of a record; `dropped`: a storage that they are not in any more. */
export function declareRecord(ctx: Context, { miner, number, sealProof, files }: SectorRecord, dropped: string | null): void {
  if (files === null) return;
  ctx.tx.setDeclared(miner, number, 'under_way');
  wantBesideJobs(ctx, DECLARE, {
    kind: 'declare',
    miner,
    number,
    sectorSizeBytes: sealProofInfo(sealProof).sectorSizeBytes,
    storage: files.storage,
    root: files.root,
    files: (files.files ?? []).map(({ path }) => path),
    dropped,
  });
}

/** Whoever does Window PoSt sees what the effect told of. Files that are elsewhere by now have to be told of anew, unless their move does so. */
export function declaredBesideJobs(ctx: Context, { want }: EffectRow): void {
  if (want.kind !== 'declare') return;
  const known = ctx.tx.storedSector(want.miner, want.number);
  if (known?.declared !== 'under_way') return;
  const same = known.record.files?.storage === want.storage;
  if (!same && ctx.tx.storageMove(want.miner, want.number)?.phase === 'declare') return;
  ctx.tx.setDeclared(want.miner, want.number, same ? 'yes' : 'no');
}
