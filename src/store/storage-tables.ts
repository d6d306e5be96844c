/** Tables about miner storage. */
import { index, integer, primaryKey, sqliteTable, text } from 'drizzle-orm/sqlite-core';

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
