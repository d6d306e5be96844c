/** The ground that the store stands on inside a Durable Object: Drizzle's sync driver in real workerd. */
import { env } from 'cloudflare:workers';
import { runInDurableObject } from 'cloudflare:test';
import { eq, sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/durable-sqlite';
import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core';
import { expect, test } from 'vitest';

const leases = sqliteTable('leases', { attempt: text().primaryKey(), epoch: integer().notNull() });

function inObject<T>(name: string, body: (db: ReturnType<typeof drizzle>) => T): Promise<T> {
  const stub = env.CONTROL_PLANE.getByName(name);
  return runInDurableObject(stub, (_instance, state) => body(drizzle(state.storage)));
}

test('compare-and-set sees how many rows it changed through RETURNING', async () => {
  const changed = await inObject('compare-and-set', (db) => {
    db.run(sql`CREATE TABLE leases (attempt TEXT PRIMARY KEY, epoch INTEGER NOT NULL) STRICT`);
    db.insert(leases).values({ attempt: 'a-1', epoch: 3 }).run();
    const hit = db.update(leases).set({ epoch: 4 }).where(eq(leases.epoch, 3)).returning().all().length;
    const miss = db.update(leases).set({ epoch: 9 }).where(eq(leases.epoch, 3)).returning().all().length;
    return { hit, miss, now: db.select().from(leases).all() };
  });
  expect(changed).toEqual({ hit: 1, miss: 0, now: [{ attempt: 'a-1', epoch: 4 }] });
});

test('a transaction that throws leaves nothing behind', async () => {
  const rows = await inObject('rollback', (db) => {
    db.run(sql`CREATE TABLE leases (attempt TEXT PRIMARY KEY, epoch INTEGER NOT NULL) STRICT`);
    expect(() =>
      db.transaction((tx) => {
        tx.insert(leases).values({ attempt: 'a-1', epoch: 1 }).run();
        throw new Error('the stage was taken back');
      }),
    ).toThrow();
    return db.select().from(leases).all();
  });
  expect(rows).toEqual([]);
});

test('two objects share no rows', async () => {
  const make = (db: ReturnType<typeof drizzle>): void => {
    db.run(sql`CREATE TABLE leases (attempt TEXT PRIMARY KEY, epoch INTEGER NOT NULL) STRICT`);
  };
  await inObject('shard-a', (db) => {
    make(db);
    db.insert(leases).values({ attempt: 'a-1', epoch: 1 }).run();
  });
  const rows = await inObject('shard-b', (db) => {
    make(db);
    return db.select().from(leases).all();
  });
  expect(rows).toEqual([]);
});
