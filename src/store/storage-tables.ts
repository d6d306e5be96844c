/** Tables about sealed sectors and the miner storage that their files are in. */
import { sql } from 'drizzle-orm';
import { index, integer, primaryKey, sqliteTable, text } from 'drizzle-orm/sqlite-core';

/** Sectors as they are known apart from any job. */
export const sectorRecords = sqliteTable(
  'sector_records',
  {
    miner: text('miner').notNull(),
    number: integer('number').notNull(),
    /** 1: committed capacity that was never upgraded. */
    cc: integer('cc').notNull(),
    /** Name of the storage its files are in; null: nobody knows where they are. */
    storage: text('storage'),
    data: text('data').notNull(),
    /** When its files were last read against their hashes; null: it is their turn. */
    checkedMs: integer('checked_ms'),
    /** JSON: which files were bad then, and how; null: none. */
    damage: text('damage'),
    /** Whether whoever does Window PoSt sees its files: 1 yes, 0 nobody was told, 2 that is under way; null: nobody knows. */
    declared: integer('declared'),
  },
  (t) => [
    primaryKey({ columns: [t.miner, t.number] }),
    index('sector_records_snap')
      .on(t.miner, t.number)
      .where(sql`cc = 1 and storage is not null`),
    index('sector_records_stored')
      .on(t.storage, t.miner, t.number)
      .where(sql`storage is not null`),
    index('sector_records_checks')
      .on(t.storage, t.checkedMs)
      .where(sql`storage is not null`),
    index('sector_records_undeclared')
      .on(t.storage)
      .where(sql`declared = 0`),
  ],
);

/** Paths as their runners told of them last. */
export const storagePaths = sqliteTable(
  'storage_paths',
  {
    runner: text('runner').notNull(),
    id: text('id').notNull(),
    seenMs: integer('seen_ms').notNull(),
    /** JSON, as the runner told it. */
    data: text('data').notNull(),
    /** The sector (`t01000/7`) whose files are being read against their hashes, and since when. */
    checking: text('checking'),
    checkingMs: integer('checking_ms'),
  },
  (t) => [primaryKey({ columns: [t.runner, t.id] })],
);

/** Sectors whose files are on their way from one path to another. */
export const storageMoves = sqliteTable(
  'storage_moves',
  {
    miner: text('miner').notNull(),
    number: integer('number').notNull(),
    from: text('from_storage').notNull(),
    to: text('to_storage').notNull(),
    sizeBytes: integer('size_bytes').notNull(),
    phase: text('phase').notNull(),
    /** JSON: the files, why they move, who was asked for the step last, and what stood against it. */
    data: text('data').notNull(),
  },
  (t) => [primaryKey({ columns: [t.miner, t.number] })],
);

/** Where an attempt puts files of a sector: that room counts as taken while the attempt runs. */
export const storagePlaces = sqliteTable(
  'storage_places',
  {
    attempt: text('attempt').primaryKey(),
    job: text('job').notNull(),
    storage: text('storage').notNull(),
    sizeBytes: integer('size_bytes').notNull(),
  },
  (t) => [index('storage_places_job').on(t.job)],
);
