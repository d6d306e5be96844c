/** Stored files are declared to lotus' index, which has to see them; whatever it says against it is told and tried again. */
import { expect, onTestFinished, test } from 'vitest';
import { LotusStorage, type StoredSector } from '../../src/chain/lotus-storage.ts';
import { MINER } from '../store/rows.ts';
import { FakeLotusStorage } from './fake-lotus-storage.ts';

const sector: StoredSector = {
  miner: MINER,
  number: 7,
  sectorSizeBytes: 2048,
  storage: 'main',
  root: '/mnt/main',
  storeId: 'id-main',
  files: ['sealed/s-t01000-7', 'cache/s-t01000-7/p_aux', 'cache/s-t01000-7/sector.json', 'update/s-t01000-7'],
  dropped: null,
};

async function opened(token = 'admin-token'): Promise<{ lotus: LotusStorage; fake: FakeLotusStorage }> {
  const fake = await FakeLotusStorage.start();
  const lotus = new LotusStorage({ url: fake.url, token: async () => token, timeoutMs: 5_000 });
  onTestFinished(async () => {
    await lotus.close();
    expect(fake.violations).toEqual([]);
  });
  return { lotus, fake };
}

test('each type of file once, again as often as one likes; another storage is dropped after that', async () => {
  const { lotus, fake } = await opened();
  fake.attached.add('id-main').add('id-new');
  for (let time = 0; time < 3; time += 1) await lotus.declare(sector);
  expect([...fake.declared]).toEqual([2, 4, 8].map((type) => `id-main ${type} s-t01000-7`));
  const moved = { ...sector, storage: 'new', storeId: 'id-new', dropped: { storeId: 'id-main' } };
  await lotus.declare(moved);
  await lotus.declare(moved);
  expect([...fake.declared]).toEqual([2, 4, 8].map((type) => `id-new ${type} s-t01000-7`));
  const last = fake.calls.slice(-10).map((method) => method.slice('Filecoin.Storage'.length));
  expect(last.lastIndexOf('FindSector')).toBeLessThan(last.indexOf('DropSector'));
});

test('nothing is declared in a path that lotus does not know, or that has no sectorstore.json: what to do is said', async () => {
  const { lotus, fake } = await opened();
  await expect(lotus.declare(sector)).rejects.toMatchObject({
    category: 'temporary',
    code: 'not_attached',
    message: expect.stringContaining('lotus-miner storage attach /mnt/main'),
  });
  await expect(lotus.declare({ ...sector, storeId: null })).rejects.toMatchObject({ category: 'temporary', code: 'no_store_id' });
  expect(fake.calls).toEqual(['Filecoin.StorageInfo']);
});

test('of a bucket it is said that lotus reads none by itself', async () => {
  const { lotus } = await opened();
  const bucket = { ...sector, root: 's3://sectors/miner', storeId: null };
  await expect(lotus.declare(bucket)).rejects.toMatchObject({
    code: 'no_store_id',
    message: expect.stringContaining('lotus reads no bucket by itself: mount it'),
  });
});

test('a declaration that is not found again does not count', async () => {
  const { lotus, fake } = await opened();
  fake.attached.add('id-main');
  fake.forgets = true;
  await expect(lotus.declare(sector)).rejects.toMatchObject({ category: 'temporary', code: 'not_seen' });
  fake.forgets = false;
  await lotus.declare(sector);
});

test('a node that is away, and a token that it refuses until somebody mends it, are temporary', async () => {
  const { lotus, fake } = await opened('another');
  await expect(lotus.declare(sector)).rejects.toMatchObject({ category: 'temporary', code: 'rpc_unauthorized' });
  fake.failWith = 502;
  await expect(lotus.declare(sector)).rejects.toMatchObject({ category: 'temporary', code: 'rpc_http_status' });
});
