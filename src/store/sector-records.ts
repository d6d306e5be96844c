/** Sectors as they are known apart from any job. */
import { and, asc, eq, gt, gte, type SQL, sql } from 'drizzle-orm';
import type { MinerId } from '../schema/ids.ts';
import type { SectorRecord } from '../schema/sector-record.ts';
import type { Page, Tx } from '../scheduler/ports.ts';
import { bound as p, type Db, type Written } from './db.ts';
import { followedJobs } from './jobs.ts';
import { jobs, sectorRecords } from './tables.ts';

function recordRow(record: SectorRecord): Omit<Written<typeof sectorRecords>, 'checkedMs' | 'damage' | 'declared'> {
  const { miner, number } = record;
  const cc = record.update === null && record.pieces.length === 0 && record.unfit === undefined;
  return { miner, number, cc: cc ? 1 : 0, storage: record.files?.storage ?? null, data: JSON.stringify(record) };
}

const recordOf = (row: { data: string }): SectorRecord => JSON.parse(row.data) as SectorRecord;

/** `miner/number` of the last record of a page. */
function cursorOf(cursor: string): { miner: string; number: number } {
  const [miner = '', number] = cursor.split('/');
  return { miner, number: Number(number) };
}

/** Pages over all miners, or over one at a time: both walk the primary key, however many miners a token is for. */
function preparePages(db: Db) {
  const after = sql`(${sectorRecords.miner}, ${sectorRecords.number}) > (${p('miner')}, ${p('after')})`;
  const some = (where: SQL | undefined) =>
    db.select().from(sectorRecords).where(where).orderBy(asc(sectorRecords.miner), asc(sectorRecords.number)).limit(p('limit')).prepare();
  return { all: some(after), ofMiner: some(and(eq(sectorRecords.miner, p('miner')), gt(sectorRecords.number, p('after')))) };
}

/** The part of `Tx` about sector records. */
export function sectorRecordsPart(db: Db) {
  const byKey = db
    .select()
    .from(sectorRecords)
    .where(and(eq(sectorRecords.miner, p('miner')), eq(sectorRecords.number, p('number'))))
    .prepare();
  const put = db
    .insert(sectorRecords)
    .values({ miner: p('miner'), number: p('number'), cc: p('cc'), storage: p('storage'), data: p('data') })
    .onConflictDoUpdate({
      target: [sectorRecords.miner, sectorRecords.number],
      set: { cc: sql`excluded.cc`, storage: sql`excluded.storage`, data: sql`excluded.data` },
    })
    .prepare();
  const candidates = db
    .select()
    .from(sectorRecords)
    .where(
      and(
        eq(sectorRecords.miner, p('miner')),
        gte(sectorRecords.number, p('from')),
        // Spelt as the partial indexes spell it, so that they are used.
        sql`${sectorRecords.cc} = 1 and ${sectorRecords.storage} is not null`,
        sql`not exists (select 1 from ${jobs} where ${jobs.miner} = ${sectorRecords.miner} and ${jobs.number} = ${sectorRecords.number} and ${jobs.state} not in ('Finished', 'Aborted'))`,
        sql`not exists (${followedJobs(sql`${sectorRecords.miner}`, sql`${sectorRecords.number}`)})`,
      ),
    )
    .orderBy(asc(sectorRecords.number))
    .limit(p('limit'))
    .prepare();
  const pages = preparePages(db);

  /** One more than asked for tells whether there is a next page. */
  function rowsOf(miners: readonly MinerId[] | undefined, limit: number, cursor: string | null) {
    const start = cursor === null ? { miner: '', number: -1 } : cursorOf(cursor);
    if (miners === undefined) return pages.all.all({ miner: start.miner, after: start.number, limit });
    const rows: (typeof sectorRecords.$inferSelect)[] = [];
    for (const miner of [...new Set(miners)].sort()) {
      if (rows.length >= limit) break;
      if (miner < start.miner) continue;
      const after = miner === start.miner ? start.number : -1;
      rows.push(...pages.ofMiner.all({ miner, after, limit: limit - rows.length }));
    }
    return rows;
  }

  return {
    sectorRecord(miner, number) {
      const row = byKey.get({ miner, number });
      return row === undefined ? undefined : recordOf(row);
    },
    putSectorRecord(record) {
      put.run(recordRow(record));
    },
    sectorRecords({ miner, miners }, limit, cursor): Page<SectorRecord> {
      const named = miner === undefined ? miners : miners === undefined || miners.includes(miner) ? [miner] : [];
      const rows = rowsOf(named, limit + 1, cursor);
      const items = rows.slice(0, limit);
      const last = rows.length > limit ? items.at(-1) : undefined;
      return { items: items.map(recordOf), cursor: last === undefined ? null : `${last.miner}/${last.number}` };
    },
    snapCandidates: (miner, from, limit) => candidates.all({ miner, from, limit }).map(recordOf),
  } satisfies Partial<Tx>;
}
