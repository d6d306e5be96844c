/** The conformance suite inside a Durable Object, in real workerd, each database an object of its own. */
import { env } from 'cloudflare:workers';
import { runInDurableObject } from 'cloudflare:test';
import { expect, test } from 'vitest';
import { openDurableStore } from '../../src/store/durable.ts';
import { MIGRATIONS } from '../../src/store/migrations.gen.ts';
import { storeConformance } from '../store/conformance.ts';

let objects = 0;

storeConformance(() => {
  const stub = env.CONTROL_PLANE.getByName(`store-${++objects}`);
  // Opened anew each time, as after the object was moved: migrations must know what was applied.
  return { use: (body) => runInDurableObject(stub, (_object, state) => body(openDurableStore(state.storage))) };
});

test('a database made by a newer version is refused, and stays as it is', async () => {
  const stub = env.CONTROL_PLANE.getByName('newer');
  await runInDurableObject(stub, async (object, state) => {
    await object.store.commit((tx) => tx.setMeta('kept', 'yes'));
    const newer = [...MIGRATIONS, { name: '9999_later', statements: ['create table later (x integer)'] }];
    openDurableStore(state.storage, newer);
    expect(() => openDurableStore(state.storage)).toThrow(/9999_later.*newer version/);
    expect(await openDurableStore(state.storage, newer).commit((tx) => tx.meta('kept'))).toBe('yes');
  });
});

test('a migration that fails half-way leaves nothing of itself', async () => {
  const stub = env.CONTROL_PLANE.getByName('broken-migration');
  await runInDurableObject(stub, async (object, state) => {
    const broken = [...MIGRATIONS, { name: '0001_x', statements: ['create table half (x integer)', 'create table half (y integer)'] }];
    expect(() => openDurableStore(state.storage, broken)).toThrow(/half/);
    expect(state.storage.sql.exec("select name from sqlite_master where name = 'half'").toArray()).toEqual([]);
    await object.store.commit((tx) => tx.setMeta('works', 'still'));
  });
});
