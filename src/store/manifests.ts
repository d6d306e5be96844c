/** Manifests of objects, by key. */
import { eq } from 'drizzle-orm';
import type { Tx } from '../scheduler/ports.ts';
import { bound, type Db, prepareInsert } from './db.ts';
import { manifests } from './tables.ts';

/** The part of `Tx` about manifests. */
export function manifestsPart(db: Db) {
  const insert = prepareInsert(db, manifests);
  const byKey = db
    .select()
    .from(manifests)
    .where(eq(manifests.key, bound('key')))
    .prepare();
  const remove = db
    .delete(manifests)
    .where(eq(manifests.key, bound('key')))
    .prepare();
  return {
    manifest(key) {
      const row = byKey.get({ key });
      return row === undefined ? undefined : { partSizeBytes: row.partSizeBytes, crc32: row.crc32 };
    },
    putManifest(key, { partSizeBytes, crc32 }) {
      remove.run({ key });
      insert({ key, partSizeBytes, crc32 });
    },
    dropManifest(key) {
      remove.run({ key });
    },
  } satisfies Partial<Tx>;
}
