/** The data of an unsealed sector: which job is meant, who gets it, and what is said while there is none. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { JobId, MinerId } from '../../src/schema/ids.ts';
import type { Job } from '../../src/schema/job.ts';
import { job, sectorRecord } from '../store/rows.ts';
import { ApiWorld, OURS, THEIRS } from './api-world.ts';

const bytes = Buffer.from('the data of the sector, as it was given');
const hash = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
const key = (id: string): string => `jobs/${id}/a-unsealed0/piece`;

let world: ApiWorld;
beforeAll(async () => {
  world = await ApiWorld.open();
});
afterAll(() => world.close());

let count = 0;
/** An unseal job of this sector; with its data in the object store when it is Finished. */
async function unsealing(number: number, state: string, change: Partial<Job> = {}, miner: MinerId = OURS): Promise<JobId> {
  const made = job(++count, { plan: 'unseal', miner, number, state, waiting: { for: 'nothing' }, ...change });
  if (state === 'Finished') {
    const piece = { key: key(made.id), sizeBytes: String(bytes.length), hash, madeIn: 'Allocated', madeBy: 'r-runner0' };
    await world.objects.put(piece.key, [bytes] as unknown as AsyncIterable<Uint8Array>, bytes.length);
    made.data.artifacts = { piece };
  }
  await world.door.run((ctx) => ctx.tx.insertJob(made));
  return made.id;
}

const ask = (ref: string, token = world.admin, accept = 'application/json') =>
  world.call('GET', `/v1/sectors/${ref}/piece`, { token, headers: { accept } });

describe('data that is there', () => {
  test('by job, and by sector the newest that finished, whatever came after it', async () => {
    const older = await unsealing(10, 'Finished');
    const newer = await unsealing(10, 'Finished');
    await unsealing(10, 'Aborted');
    await unsealing(10, 'Allocated');
    await unsealing(11, 'Finished');
    const answer = await ask('s-t01000-10');
    expect(answer).toMatchObject({ status: 200, json: { job: newer, sector: 's-t01000-10', sizeBytes: String(bytes.length), hash } });
    expect((await ask('s-f01000-10')).json).toMatchObject({ job: newer });
    expect((await ask(older)).json).toMatchObject({ job: older });
    const { url, expiresMs } = answer.json as { url: string; expiresMs: number };
    expect(new URL(url).pathname).toBe(`/objects/${key(newer)}`);
    expect(expiresMs).toBe(world.nowMs + 3_600_000);
  });

  test('without asking for JSON one is sent on to the bytes', async () => {
    const id = await unsealing(12, 'Finished');
    const answer = await ask(id, world.admin, '*/*');
    expect([answer.status, answer.text, answer.headers.get('cache-control')]).toEqual([307, '', 'no-store']);
    const url = new URL(answer.headers.get('location') as string);
    expect(() =>
      world.objects.checkUrl('GET', url.pathname, url.searchParams.get('expires') ?? '', url.searchParams.get('signature') ?? ''),
    ).not.toThrow();
  });

  test('not for a viewer, and not for the operator of another miner', async () => {
    const id = await unsealing(13, 'Finished', {}, THEIRS);
    expect((await ask(id, await world.token('viewer'))).status).toBe(403);
    const ours = await world.token('operator', [OURS]);
    for (const ref of [id, 's-t01001-13'])
      expect(await ask(ref, ours)).toMatchObject({ status: 404, json: { detail: expect.stringContaining(ref) } });
    expect((await ask(id, await world.token('operator', [THEIRS]))).status).toBe(200);
  });
});

describe('data that is not', () => {
  const refused = (status: number, code: string, detail: string) => ({
    status,
    type: 'application/problem+json',
    json: { code, detail: expect.stringContaining(detail) },
  });

  test('a job under way tells its state and its error, an aborted one that another is needed', async () => {
    expect(await ask(await unsealing(20, 'Allocated'))).toMatchObject(refused(409, 'not_unsealed_yet', 'is in Allocated'));
    const error = { category: 'permanent', code: 'sector_damaged', message: 'rebuild the sector', atMs: 1 } as const;
    await unsealing(21, 'Allocated', { paused: true, error });
    expect(await ask('s-t01000-21')).toMatchObject(refused(409, 'not_unsealed_yet', 'rebuild the sector'));
    await unsealing(22, 'Aborted');
    expect(await ask('s-t01000-22')).toMatchObject(refused(409, 'not_unsealed', 'was aborted'));
  });

  test('a job of another plan, a sector that was never unsealed, and one that nobody knows', async () => {
    const sealer = job(++count, { miner: OURS, number: 23, state: 'Finished', waiting: { for: 'nothing' } });
    await world.door.run((ctx) => {
      ctx.tx.insertJob(sealer);
      ctx.tx.putSectorRecord(sectorRecord(24, { miner: OURS }));
    });
    expect(await ask(sealer.id)).toMatchObject(refused(409, 'not_unsealed', 'runs the plan sealer'));
    expect(await ask('s-t01000-23')).toMatchObject(refused(409, 'not_unsealed', 'was not unsealed yet'));
    expect(await ask('s-t01000-24')).toMatchObject(refused(409, 'not_unsealed', 'was not unsealed yet'));
    expect(await ask('s-t01000-25')).toMatchObject(refused(404, 'not_found', 's-t01000-25'));
    expect(await ask('j-000000000000')).toMatchObject(refused(404, 'not_found', 'j-000000000000'));
  });

  test('data that was deleted from the object store is gone', async () => {
    const id = await unsealing(26, 'Finished');
    await world.objects.delete(key(id));
    expect(await ask(id)).toMatchObject(refused(410, 'piece_gone', 'unseal the sector again'));
  });
});
