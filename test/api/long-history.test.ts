/** A job with more events than are shown at once: what is shown is what happened last. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { NewEvent } from '../../src/schema/event.ts';
import type { Job } from '../../src/schema/job.ts';
import { ApiWorld, OURS } from './api-world.ts';

/** As many as one answer has. */
const SHOWN = 1_000;

let world: ApiWorld;
let job: Job['id'];
beforeEach(async () => {
  world = await ApiWorld.open();
  [job] = (await world.pledge(OURS)) as [Job['id']];
});
afterEach(() => world.close());

const admin = (method: string, path: string) => world.call(method, path, { token: world.admin });
const events = async (path: string) => {
  const { json } = await admin('GET', path);
  return ((json as { events?: { seq: number }[] }).events ?? (json as { items: { seq: number }[] }).items).map(({ seq }) => seq);
};

function noted(count: number): Promise<void> {
  const about = { job, miner: OURS, runner: null, generation: 1, actor: 'engine', kind: 'note', from: null, to: null, event: null };
  return world.door.run((ctx) => {
    for (let n = 0; n < count; n += 1)
      ctx.tx.appendEvent({ ...about, atMs: ctx.nowMs, detail: { n }, request: null } as unknown as NewEvent);
  });
}

test('a sector shows the newest of its events, in order; older ones come through /v1/events', async () => {
  await noted(SHOWN);
  const shown = await events(`/v1/sectors/${job}`);
  const newest = await events(`/v1/events?sector=${job}&after=${(shown[0] as number) - 1}&limit=${SHOWN}`);
  expect(shown).toHaveLength(SHOWN);
  expect(shown).toEqual(newest);
  expect(shown).toEqual(shown.toSorted((a, b) => a - b));
  const older = await events(`/v1/events?sector=${job}&limit=5`);
  expect(older[0]).toBeLessThan(shown[0] as number);
});

test('how long a thread has been paused is told after any number of events', async () => {
  await noted(SHOWN);
  await admin('POST', `/v1/sectors/${job}/pause`);
  await world.door.run((ctx) => ctx.tx.updateJob({ ...(ctx.tx.job(job) as Job), updatedMs: ctx.nowMs + 4_000 }));
  world.nowMs += 5_000;
  const { threads } = (await admin('GET', '/v1/workers/ours')).json as { threads: unknown[] };
  expect(threads).toMatchObject([{ threadState: 'Paused', elapsedMs: 5_000 }]);
});
