/** Telling whoever does Window PoSt where a sector's files are. */
import type { EffectId } from '../schema/ids.ts';
import type { DeclareWant, EffectOutcome, EffectRow } from '../scheduler/effects.ts';
import type { EffectContext, EffectDoor } from './door.ts';

/** What is told. `storeId`: the ID in the storage's sectorstore.json; null: it has none, or no runner told of it yet. */
export type Declaration = Omit<DeclareWant, 'kind' | 'dropped'> & {
  readonly storeId: string | null;
  readonly dropped: { readonly storage: string; readonly storeId: string | null } | null;
  /** The same for every repetition of this declaration. */
  readonly id: EffectId;
};

/** Resolves once the other side has said that it sees the files. Throws why not; repeating it must be harmless. */
export type Declare = (declaration: Declaration) => Promise<void>;

/** Performs the effect. What no job wanted may have waited for long: it is not told where the record names another storage by now. */
export async function declareStored<C extends EffectContext>(
  want: DeclareWant,
  { id, job }: Pick<EffectRow, 'id' | 'job'>,
  run: EffectDoor<C>['run'],
  declare: Declare | undefined,
): Promise<EffectOutcome> {
  // The configuration changed since it was wanted: nobody is to be told any more.
  if (declare === undefined) return { outcome: 'declared' };
  const { kind: _kind, dropped, ...told } = want;
  const { ids, recorded } = await run(({ tx }) => ({
    ids: new Map(tx.storagePaths().map(({ path }) => [path.id, path.storeId] as const)),
    recorded: tx.sectorRecord(want.miner, want.number)?.files?.storage,
  }));
  if (job === null && recorded !== undefined && recorded !== want.storage) return { outcome: 'declared' };
  await declare({
    ...told,
    id,
    storeId: ids.get(want.storage) ?? null,
    dropped: dropped === null ? null : { storage: dropped, storeId: ids.get(dropped) ?? null },
  });
  return { outcome: 'declared' };
}
