/** A runner says that an input is gone: the control plane looks for itself before it believes it. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { objectRoutes } from '../../src/objects/routes.ts';
import { effectDone } from '../../src/scheduler/outbox.ts';
import { tick } from '../../src/scheduler/tick.ts';
import type { Grant, NextAnswer, RegisterAnswer } from '../../src/schema/runner.ts';
import { HonestChain, honestResult } from '../scheduler/honest.ts';
import { ApiWorld, BOOT, RESOURCES } from './api-world.ts';

const LAYER = 'cache/sc-02-data-layer-1.dat';
const BYTES = Buffer.alloc(2048, 1);

let world: ApiWorld;
let runner: RegisterAnswer;
beforeEach(async () => {
  world = await ApiWorld.open();
  world.app.route('/', objectRoutes(world.objects));
  runner = await world.runner();
});
afterEach(() => world.close());

async function next(more: Record<string, unknown>): Promise<NextAnswer> {
  const body = { bootId: BOOT, freeSlots: 0, running: [], reports: [], resources: RESOURCES, waitMs: 0, ...more };
  return (await world.call('POST', '/v1/runners/self/next', { token: runner.credential, body })).json as NextAnswer;
}

/** The PC2 of a sector, everything before it answered honestly and stored. */
async function pc2(): Promise<Grant> {
  const chain = new HonestChain();
  for (let round = 0; round < 50; round += 1) {
    world.nowMs += 2_000;
    await world.door.run((ctx) => {
      tick(ctx);
      for (const effect of ctx.tx.effectsDue(ctx.nowMs, 100)) effectDone(ctx, effect.id, chain.outcome(effect));
    });
    const [grant] = (await next({ freeSlots: 1 })).grants;
    if (grant?.stage === 'PC2') return grant;
    if (grant === undefined) continue;
    const outputs = await Promise.all(grant.outputs.map((slot) => world.upload(slot, BYTES)));
    const { attempt, epoch } = grant;
    await next({ reports: [{ outcome: 'done', attempt, epoch, outputs, result: honestResult(grant as never) }] });
  }
  throw new Error('no PC2 was granted');
}
const says = ({ attempt, epoch }: Grant) =>
  next({ reports: [{ outcome: 'failed', attempt, epoch, code: 'input_missing', message: 'status 404', input: LAYER }] });

test('what is gone is made again, what is there was only not fetched', async () => {
  const [id] = (await world.pledge()) as [string];
  const job = () => world.door.run((ctx) => ctx.tx.job(id as never));
  const first = await pc2();
  await says(first);
  expect(await job()).toMatchObject({ state: 'PC1Done', generation: 1 });
  const second = await pc2();
  await world.objects.delete((await job())?.data.artifacts[LAYER]?.key as string);
  await says(second);
  expect(await job()).toMatchObject({
    state: 'TicketAssigned',
    generation: 2,
    paused: false,
    error: { message: expect.stringContaining('is gone') },
  });
});
