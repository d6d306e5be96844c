/** A restart goes on; two live processes with one credential are a stolen one, and nothing of either counts. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { heartbeat, seen, setRunnerStatus } from '../../src/scheduler/fleet.ts';
import type { RunnerRow } from '../../src/scheduler/ports.ts';
import type { RunnerId } from '../../src/schema/ids.ts';
import { type Granted, World } from './world.ts';

const FIRST = 'boot-0001';
const SECOND = 'boot-0002';

let world: World;
let id: RunnerId;
let held: Granted;
beforeEach(async () => {
  world = new World();
  await world.start();
  const own = (await world.register('own', 'own', ['AddPiece', 'BuildTreeD'])).id;
  ({ id } = await world.register('rented', 'rented', ['PC1']));
  await world.ask();
  held = await world.until('TicketAssigned', [own, id]);
});
afterEach(() => world.close());

const row = (): Promise<RunnerRow> => world.run((ctx) => ctx.tx.runner(id) as RunnerRow);
const speaks = (bootId: string): Promise<RunnerRow> => world.run((ctx) => seen(ctx, ctx.tx.runner(id) as RunnerRow, bootId));
const beats = ({ grant }: Granted, bootId: string) =>
  world.run((ctx) =>
    heartbeat(ctx, ctx.tx.runner(id) as RunnerRow, { bootId, attempts: [{ attempt: grant.attempt, epoch: grant.epoch }] }),
  );
const LEASE_MS = 20_000;

test('a restart: what the dead process had is granted anew at once, and its late words change nothing', async () => {
  await speaks(SECOND);
  const [again] = await world.grant(id);
  expect(again?.grant).toMatchObject({ stage: held.grant.stage, epoch: held.grant.epoch + 1 });
  // Requests that were on their way when it died: a heartbeat, and a report.
  world.nowMs += LEASE_MS;
  const before = await row();
  expect(await beats(held, FIRST)).toMatchObject({ attempts: [{ order: 'cancel' }] });
  expect(await world.report(id, world.honest(held))).toMatchObject({ status: 'lease_lost' });
  expect(await row()).toEqual(before);
  expect(await beats(again as Granted, SECOND)).toMatchObject({ attempts: [{ order: 'continue' }] });
  expect(await world.report(id, world.honest(again as Granted))).toMatchObject({ status: 'accepted' });
});

test('an earlier process that speaks later than a lease after: quarantined with the reason, its stages go elsewhere', async () => {
  await speaks(SECOND);
  const [stolen] = await world.grant(id);
  world.nowMs += LEASE_MS + 1;
  expect(await beats(held, FIRST)).toMatchObject({ attempts: [{ order: 'cancel' }] });
  expect(await row()).toMatchObject({ status: 'quarantined', reason: expect.stringMatching(/two processes used its credential/) });
  // Nothing of either counts.
  expect(await beats(stolen as Granted, SECOND)).toMatchObject({ attempts: [{ order: 'cancel' }] });
  for (const one of [held, stolen as Granted]) expect(await world.report(id, world.honest(one))).toMatchObject({ status: 'lease_lost' });
  expect(await world.grant(id)).toEqual([]);
  const other = (await world.register('other', 'rented', ['PC1'])).id;
  const [elsewhere] = await world.grant(other);
  expect(elsewhere?.grant.stage).toBe(held.grant.stage);
  expect(await world.report(other, world.honest(elsewhere as Granted))).toMatchObject({ status: 'accepted' });
  const events = await world.run((ctx) => ctx.tx.eventsAfter(0, 1_000, { runner: id, kinds: ['runner_status'] }));
  expect(events.map(({ detail }) => detail)).toMatchObject([{ from: 'ready', to: 'quarantined' }]);
});

test('two processes that take turns are found out within a lease and a heartbeat', async () => {
  await speaks(SECOND);
  const beganMs = world.nowMs;
  for (let turn = 0; (await row()).status === 'ready'; turn += 1) {
    world.nowMs += 3_500;
    await speaks(turn % 2 === 0 ? FIRST : SECOND);
  }
  expect(world.nowMs - beganMs).toBeLessThanOrEqual(LEASE_MS + 7_000);
});

test('a thief cannot make the control plane forget the process before it', async () => {
  for (let at = 2; at <= 40; at += 1) await speaks(`boot-${at}-of-many`);
  expect(await row()).toMatchObject({ status: 'quarantined', reason: expect.stringMatching(/more than 32 processes/) });
});

test('one that crashes again and again, over hours, is no thief', async () => {
  for (let at = 2; at <= 100; at += 1) {
    world.nowMs += 60_000;
    await speaks(`boot-${at}-of-many`);
  }
  expect(await row()).toMatchObject({ status: 'ready', bootId: 'boot-100-of-many' });
  expect((await row()).earlierBoots).toHaveLength(32);
});

test('lifted by an operator, whichever process is left goes on', async () => {
  await speaks(SECOND);
  world.nowMs += LEASE_MS + 1;
  await speaks(FIRST);
  await world.run((ctx) => setRunnerStatus(ctx, id, 'ready', null, 'operator:test'));
  world.nowMs += LEASE_MS + 1;
  await speaks(FIRST);
  world.nowMs += LEASE_MS + 1;
  await speaks(FIRST);
  expect(await row()).toMatchObject({ status: 'ready', bootId: FIRST, strikes: 0, reason: null });
});
