/** A runner that heartbeats without working loses its stage; an honest slow one keeps it. Virtual time throughout. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { DEFAULTS } from '../../src/scheduler/context.ts';
import { heartbeat } from '../../src/scheduler/fleet.ts';
import type { RunnerRow } from '../../src/scheduler/ports.ts';
import { restarted, tick } from '../../src/scheduler/tick.ts';
import type { RunnerId } from '../../src/schema/ids.ts';
import type { Attempt } from '../../src/schema/job.ts';
import { Stage } from '../../src/schema/stage.ts';
import { type Granted, World } from './world.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const STEP_MS = 5 * MINUTE_MS;

let world: World;
let own: RunnerId;
let rented: RunnerId;
let held: Granted;
beforeEach(async () => {
  // So that a heartbeat every five minutes is enough.
  world = new World({ leaseMs: 2 * STEP_MS });
  await world.start();
  const others = Stage.options.filter((stage) => stage !== 'PC1');
  own = (await world.register('own', 'own', others)).id;
  rented = (await world.register('rented', 'rented', ['PC1'])).id;
  await world.ask();
  held = await world.until('TicketAssigned', [own, rented]);
});
afterEach(() => world.close());

const attempt = (): Promise<Attempt> => world.run((ctx) => ctx.tx.attempt(held.grant.attempt) as Attempt);
const runner = (): Promise<RunnerRow> => world.run((ctx) => ctx.tx.runner(rented) as RunnerRow);
/** Heartbeats, each saying what `says` makes of the time since the grant, for so long or until the stage is taken away. */
async function works(forMs: number, says: (ms: number) => Record<string, unknown>): Promise<number> {
  const beganMs = world.nowMs;
  while (world.nowMs - beganMs < forMs && (await attempt()).status === 'running') {
    const beat = { attempt: held.grant.attempt, epoch: held.grant.epoch, ...says(world.nowMs - beganMs) };
    await world.run((ctx) => heartbeat(ctx, ctx.tx.runner(rented) as RunnerRow, { bootId: 'boot-0001', attempts: [beat] }));
    await world.tick(STEP_MS);
  }
  return world.nowMs - beganMs;
}

test('heartbeats without progress: taken away at the deadline, struck with the evidence, granted elsewhere', async () => {
  const tookMs = await works(24 * HOUR_MS, () => ({ fraction: 0.5, note: 'running pc1', logTail: 'layer 3\n', secondsLeft: 1 }));
  expect(tookMs).toBe(DEFAULTS.progressMs.PC1 + STEP_MS);
  expect(await attempt()).toMatchObject({ status: 'lost', failure: 'it got no further for 185 min while it sent heartbeats' });
  expect(await runner()).toMatchObject({ strikes: 1, status: 'ready' });
  const [struck] = await world.run((ctx) => ctx.tx.eventsAfter(0, 1_000, { runner: rented, kinds: ['runner_struck'] }));
  expect(struck?.detail).toMatchObject({ reason: expect.stringContaining('got no further'), evidence: { attempt: held.grant.attempt } });
  const other = (await world.register('other', 'rented', ['PC1'])).id;
  expect(await world.grant(rented)).toEqual([]);
  expect(await world.grant(other)).toMatchObject([{ grant: { stage: 'PC1', epoch: held.grant.epoch + 1 } }]);
  expect(await world.report(rented, world.honest(held))).toMatchObject({ status: 'lease_lost' });
});

test('a runner that does so again and again is quarantined', async () => {
  for (let time = 1; time <= DEFAULTS.maxStrikes; time += 1) {
    await works(24 * HOUR_MS, () => ({}));
    held = (await world.grant(rented))[0] ?? held;
  }
  expect(await runner()).toMatchObject({ status: 'quarantined', reason: expect.stringContaining('got no further') });
});

test.each([
  ['a layer of 40 minutes in the log', (ms: number) => ({ logTail: `layer ${Math.floor(ms / (40 * MINUTE_MS))}` })],
  ['a fraction that rises slowly', (ms: number) => ({ fraction: Math.floor(ms / (150 * MINUTE_MS)) / 10 })],
  ['bytes that a transfer moved, in the note', (ms: number) => ({ note: `fetching sealed, ${Math.floor(ms / HOUR_MS)} MiB so far` })],
])('honest and slow: %s', async (_, says) => {
  expect(await works(20 * HOUR_MS, says)).toBe(20 * HOUR_MS);
  expect(await attempt()).toMatchObject({ status: 'running' });
});

test('nothing said at all for an hour, as a C2 does, is no fault', async () => {
  expect(await works(HOUR_MS, () => ({}))).toBe(HOUR_MS);
  for (const stage of Stage.options) expect(DEFAULTS.progressMs[stage], stage).toBeGreaterThanOrEqual(HOUR_MS);
});

test('whatever it says, in all it takes no longer than its stage may', async () => {
  const tookMs = await works(48 * HOUR_MS, (ms) => ({ note: `still at it, ${ms}` }));
  expect(tookMs).toBe(DEFAULTS.stageMs.PC1 + STEP_MS);
  expect(await attempt()).toMatchObject({ status: 'lost', failure: expect.stringMatching(/^it took 1445 min and did not end$/) });
});

test('a fraction that stands or falls is no progress', async () => {
  await works(STEP_MS, () => ({ fraction: 0.5 }));
  const { progressMs } = await attempt();
  await works(5 * STEP_MS, (ms) => ({ fraction: 0.5 - ms / 1e10 }));
  expect((await attempt()).progressMs).toBe(progressMs);
});

test('the next wake-up is no later than that; time that the control plane was away does not count', async () => {
  const { dueMs, grantedMs } = await attempt();
  expect(dueMs).toBe(grantedMs + DEFAULTS.progressMs.PC1);
  await world.run((ctx) =>
    ctx.tx.updateAttempt({ ...(ctx.tx.attempt(held.grant.attempt) as Attempt), leaseUntilMs: 1e12, dueMs: world.nowMs + 777 }),
  );
  expect(await world.run((ctx) => ctx.tx.nextWakeMs())).toBeLessThanOrEqual(world.nowMs + 777);
  expect(await world.run((ctx) => tick(ctx).wakeAtMs)).toBeLessThanOrEqual(world.nowMs + 777);
  const before = (await attempt()).dueMs as number;
  world.nowMs += 10 * HOUR_MS;
  await world.run((ctx) => restarted(ctx));
  expect((await attempt()).dueMs).toBeGreaterThanOrEqual(before + 10 * HOUR_MS);
});
