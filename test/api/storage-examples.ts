/** Rows of `examples.ts` about miner storage. */
import type { MinerId, RunnerId } from '../../src/schema/ids.ts';
import { sectorRecord, storageMove, storagePath } from '../store/rows.ts';
import { type ApiWorld, OURS, THEIRS } from './api-world.ts';
import type { Case } from './examples.ts';

export function storageExamples(world: ApiWorld): readonly Case[] {
  let made = 0;
  /** A storage that stands in the world from now on; `cordoned`: nothing new goes there. */
  const storage = async (cordoned = false): Promise<string> => {
    const id = `disk-${(made += 1)}`;
    const { runnerId } = await world.runner('own', `with ${id}`);
    await world.door.run((ctx) => {
      ctx.tx.putStoragePath({ runner: runnerId as RunnerId, path: storagePath(id), seenMs: ctx.nowMs, checking: null });
      if (cordoned) ctx.tx.setMeta(`cordoned:${id}`, String(ctx.nowMs));
    });
    return id;
  };
  const action = (name: string, cordoned = false, body: object = {}): Case => ({
    route: `POST /v1/storage/{id}/${name}`,
    whole: true,
    event: 'audit',
    own: async () => ({ path: `/v1/storage/${await storage(cordoned)}/${name}`, body }),
    missing: () => ({ path: `/v1/storage/nowhere/${name}`, body: {} }),
  });
  const sector = (miner: MinerId) => async () => {
    const number = 900 + (made += 1);
    await world.door.run((ctx) => ctx.tx.putSectorRecord(sectorRecord(number, { miner })));
    return { path: `/v1/storage/sectors/s-${miner}-${number}`, object: `s-${miner}-${number}` };
  };
  /** A sector in one of two storages of a runner; `moving`: it is on its way to the other. */
  const movable = async (moving = false): Promise<{ sector: string; to: string }> => {
    const number = 900 + (made += 1);
    const [from, to] = [`from-${number}`, `to-${number}`];
    const { runnerId } = await world.runner('own', `with ${from}`);
    await world.door.run((ctx) => {
      for (const id of [from, to]) {
        const path = storagePath(id, { freeBytes: 2 ** 40 });
        ctx.tx.putStoragePath({ runner: runnerId as RunnerId, path, seenMs: ctx.nowMs, checking: null });
      }
      const files = [{ path: `sealed/s-${OURS}-${number}`, sizeBytes: '2048', hash: `sha256:${'ab'.repeat(32)}` }];
      ctx.tx.putSectorRecord(sectorRecord(number, { miner: OURS, files: { storage: from, root: '/mnt', files } }));
      if (moving) ctx.tx.putStorageMove(storageMove(number, { miner: OURS, from, to, cause: 'request' }));
    });
    return { sector: `s-${OURS}-${number}`, to };
  };
  return [
    { route: 'GET /v1/storage/moves', whole: true, own: () => ({ path: '/v1/storage/moves' }) },
    {
      route: 'POST /v1/storage/moves',
      whole: true,
      event: 'audit',
      own: async () => {
        const { sector, to } = await movable();
        return { path: '/v1/storage/moves', body: { sectors: [sector], to, force: true } };
      },
      missing: async () => {
        const { to } = await movable();
        return { path: '/v1/storage/moves', body: { sectors: [`s-${OURS}-899999`], to, force: true } };
      },
    },
    {
      route: 'POST /v1/storage/moves/stop',
      whole: true,
      event: 'audit',
      own: async () => ({ path: '/v1/storage/moves/stop', body: { sectors: [(await movable(true)).sector] } }),
    },
    { route: 'GET /v1/storage', whole: true, own: () => ({ path: '/v1/storage' }) },
    {
      route: 'GET /v1/storage/sectors/{sector}',
      own: sector(OURS),
      foreign: sector(THEIRS),
      missing: () => ({ path: `/v1/storage/sectors/s-${OURS}-899999`, object: `s-${OURS}-899999` }),
    },
    action('cordon'),
    action('uncordon', true),
    action('drain', false, { force: true }),
    action('scrub'),
    action('declare'),
  ];
}
