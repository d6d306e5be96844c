/** Moves of sectors' files from one path of miner storage to another. */
import { and, asc, eq, sql } from 'drizzle-orm';
import type { MinerId } from '../schema/ids.ts';
import type { SectorRecord } from '../schema/sector-record.ts';
import type { StorageMove, StorageTx } from '../scheduler/storage-rows.ts';
import { bound as p, type Db } from './db.ts';
import { followedJobs } from './jobs.ts';
import { storageMoves } from './storage-tables.ts';
import { jobs, sectorRecords } from './tables.ts';

function moveOf({ data, miner, phase, ...row }: typeof storageMoves.$inferSelect): StorageMove {
  // Earlier versions knew no other cause.
  const more = {
    cause: 'drain' as const,
    ...(JSON.parse(data) as Pick<StorageMove, 'files' | 'asked' | 'why'> & { cause?: StorageMove['cause'] }),
  };
  return { ...row, ...more, miner: miner as MinerId, phase: phase as StorageMove['phase'] };
}

/** Sectors of a storage that can be moved: of one with an update, its files have to be listed too (`knownFiles`). Spelt as the partial index spells it, so that it is used. */
function prepareMovable(db: Db) {
  const { miner, number, storage, damage, data } = sectorRecords;
  const free = sql`not exists (select 1 from ${jobs} where ${jobs.miner} = ${miner} and ${jobs.number} = ${number} and ${jobs.state} not in ('Finished', 'Aborted'))`;
  const unfollowed = sql`not exists (${followedJobs(sql`${miner}`, sql`${number}`)})`;
  const whole = sql`(json_extract(${data}, '$.update') is null or exists (select 1 from json_each(${data}, '$.files.files') where json_extract(value, '$.path') like 'update/%'))`;
  const unmoved = sql`not exists (select 1 from ${storageMoves} where ${storageMoves.miner} = ${miner} and ${storageMoves.number} = ${number})`;
  return db
    .select()
    .from(sectorRecords)
    .where(
      sql`${storage} = ${p('storage')} and ${storage} is not null and ${damage} is null and json_array_length(${data}, '$.files.files') > 0 and ${whole} and ${free} and ${unfollowed} and ${unmoved}`,
    )
    .orderBy(asc(miner), asc(number))
    .limit(p('limit'))
    .prepare();
}

/** The part of `Tx` about moves. */
export function storageMovesPart(db: Db) {
  const all = db.select().from(storageMoves).orderBy(asc(storageMoves.miner), asc(storageMoves.number)).prepare();
  const key = and(eq(storageMoves.miner, p('miner')), eq(storageMoves.number, p('number')));
  const one = db.select().from(storageMoves).where(key).prepare();
  const put = db
    .insert(storageMoves)
    .values({
      miner: p('miner'),
      number: p('number'),
      from: p('from'),
      to: p('to'),
      sizeBytes: p('sizeBytes'),
      phase: p('phase'),
      data: p('data'),
    })
    .onConflictDoUpdate({
      target: [storageMoves.miner, storageMoves.number],
      set: {
        from: sql`excluded.from_storage`,
        to: sql`excluded.to_storage`,
        sizeBytes: sql`excluded.size_bytes`,
        phase: sql`excluded.phase`,
        data: sql`excluded.data`,
      },
    })
    .prepare();
  const drop = db.delete(storageMoves).where(key).prepare();
  const movable = prepareMovable(db);
  return {
    storageMoves: () => all.all().map(moveOf),
    storageMove(miner, number) {
      const row = one.get({ miner, number });
      return row === undefined ? undefined : moveOf(row);
    },
    putStorageMove({ files, asked, why, cause, ...row }) {
      put.run({ ...row, data: JSON.stringify({ files, asked, why, cause }) });
    },
    deleteStorageMove(miner, number) {
      drop.run({ miner, number });
    },
    movableIn: (storage, limit) => movable.all({ storage, limit }).map(({ data }) => JSON.parse(data) as SectorRecord),
  } satisfies Partial<StorageTx>;
}
