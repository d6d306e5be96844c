/** Rows of `examples.ts` about miner storage. */
import type { MinerId, RunnerId } from '../../src/schema/ids.ts';
import { sectorRecord, storagePath } from '../store/rows.ts';
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
  return [
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
