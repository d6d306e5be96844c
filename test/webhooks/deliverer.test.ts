/** The deliverer over the real engine and store: bad receivers hold up nobody, what is recorded is what came of it. */
import { expect, onTestFinished, test } from 'vitest';
import { openDoor } from '../../src/api/door.ts';
import { randomIds, sleep } from '../../src/main/machine.ts';
import { deliveryTried, deliveryTurn, dropOldDeliveries } from '../../src/scheduler/deliveries.ts';
import { audit } from '../../src/scheduler/happened.ts';
import type { DeliveryRow, WebhookRow } from '../../src/scheduler/webhook-rows.ts';
import { createWebhook, rotateSecret, testWebhook } from '../../src/scheduler/webhooks.ts';
import { deliver } from '../../src/webhooks/deliverer.ts';
import { openSender } from '../../src/webhooks/send.ts';
import { World } from '../scheduler/world.ts';
import { answers, drips, endless, receiver } from './receiver.ts';

const BY = 'operator:somebody';

/** Real time from here on, so that signatures verify; `skipMs` is added to it. */
function deployment(limits: { totalMs: number }) {
  const world = new World();
  const shift = { ms: 0 };
  const now = (): number => Date.now() + shift.ms;
  const door = openDoor({ store: world.store, clock: { now }, ids: randomIds, settings: world.settings });
  const sender = openSender({ now, connectMs: 1_000, ...limits });
  const errors: unknown[] = [];
  const stop = new AbortController();
  const ended = deliver({
    door,
    engine: { deliveryTurn, deliveryTried, dropOldDeliveries },
    sender,
    sleep,
    onError: (error) => errors.push(error),
    ending: stop.signal,
  });
  onTestFinished(async () => {
    stop.abort();
    await ended;
    await sender.close();
    world.close();
    expect(errors).toEqual([]);
  });
  const create = (url: string): Promise<WebhookRow> =>
    door.run((ctx) => createWebhook(ctx, { url, description: '', types: ['audit'], miners: null, allowPrivate: true }, BY));
  const log = (id: WebhookRow['id']): Promise<DeliveryRow[]> => door.run(({ tx }) => [...tx.deliveries(id, 500, null).items].reverse());
  const happen = (times: number) =>
    door.run((ctx) => {
      for (let at = 0; at < times; at += 1) audit(ctx, BY, 'something', { at });
    });
  return { door, create, log, happen, shift, world };
}

async function until<T>(ask: () => T | Promise<T>, holds: (value: T) => boolean, withinMs = 15_000): Promise<T> {
  const limit = Date.now() + withinMs;
  for (;;) {
    const value = await ask();
    if (holds(value)) return value;
    if (Date.now() > limit) throw new Error(`it did not get there: ${JSON.stringify(value)}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

test('receivers that hang, drip, redirect, never stop, reset or are gone hold up nobody', { timeout: 40_000 }, async () => {
  const TOTAL_MS = 3_000;
  const { create, log, happen, door } = deployment({ totalMs: TOTAL_MS });
  const sent = { bytes: 0 };
  const trap = await receiver();
  const bad = {
    hangs: await receiver(() => undefined),
    drips: await receiver(drips('head', 1_000)),
    redirects: await receiver(answers(302, { location: 'http://169.254.169.254/' })),
    trapped: await receiver(answers(307, { location: trap.url })),
    endless: await receiver(endless(sent)),
    gone: await receiver(answers(410)),
    resets: await receiver((_res, req) => req.socket.resetAndDestroy()),
  };
  const rows: Record<string, WebhookRow> = {};
  for (const [name, { url }] of Object.entries(bad)) rows[name] = await create(url);
  // Twenty more that hang: each has its own place.
  const hanging = await Promise.all(Array.from({ length: 20 }, () => receiver(() => undefined)));
  for (const { url } of hanging) await create(url);
  const healthy = await receiver();
  const well = await create(healthy.url);
  const fromMs = performance.now();
  await happen(50);
  await until(
    () => healthy.received.length,
    (count) => count >= 51,
  );
  // Everything within less than what one try of those that hang takes.
  expect(performance.now() - fromMs).toBeLessThan(TOTAL_MS);
  await until(
    () => log(well.id),
    (all) => all.length >= 51 && all.every(({ status }) => status === 'done'),
  );
  const settled = async (name: string) => (await log((rows[name] as WebhookRow).id))[0] as DeliveryRow;
  const outcome = (name: string) =>
    until(
      () => settled(name),
      ({ tries, status }) => tries > 0 || status !== 'open',
    );
  expect(await outcome('hangs')).toMatchObject({
    status: 'open',
    lastStatus: null,
    lastError: expect.stringMatching(/longer than 3000 ms/),
  });
  expect(await outcome('drips')).toMatchObject({
    status: 'open',
    lastStatus: null,
    lastError: expect.stringMatching(/longer than 3000 ms/),
  });
  expect(await outcome('redirects')).toMatchObject({ status: 'open', lastStatus: 302, lastError: expect.stringMatching(/not followed/) });
  expect(await outcome('trapped')).toMatchObject({ status: 'open', lastStatus: 307 });
  expect(await outcome('endless')).toMatchObject({ status: 'done', lastStatus: 200 });
  expect(await outcome('gone')).toMatchObject({ status: 'failed', lastStatus: 410 });
  expect(await outcome('resets')).toMatchObject({ status: 'open', lastStatus: null });
  expect(trap.counts.connections).toBe(0);
  // Of the one that hangs no more than its own places were taken at a time.
  expect(bad.hangs.counts.requests).toBeLessThanOrEqual(8);
  expect(await door.run(({ tx }) => tx.webhook((rows['gone'] as WebhookRow).id))).toMatchObject({ status: 'disabled' });
});

test('a try that failed is made again when its time has come, under the same id, signed anew', async () => {
  let failing = true;
  const down = await receiver((res) => void res.writeHead(failing ? 500 : 200).end());
  const { create, log, door, shift } = deployment({ totalMs: 2_000 });
  const { id } = await create(down.url);
  const [first] = await until(
    () => log(id),
    ([row]) => row?.tries === 1,
  );
  failing = false;
  shift.ms = 6_000;
  // The clock jumped: something that happens lets it be looked at.
  await door.run((ctx) => audit(ctx, BY, 'later'));
  await until(
    () => log(id),
    (rows) => rows.every(({ status }) => status === 'done'),
  );
  const ids = down.received.map(({ headers }) => headers['webhook-id']);
  expect(ids.filter((message) => message === first?.message)).toHaveLength(2);
  const tries = down.received.filter(({ headers }) => headers['webhook-id'] === first?.message);
  expect(new Set(tries.map(({ body }) => body)).size).toBe(1);
  expect(new Set(tries.map(({ headers }) => headers['webhook-timestamp'])).size).toBe(2);
});

test('the first further try comes by itself after five seconds', { timeout: 30_000 }, async () => {
  let requests = 0;
  const flaky = await receiver((res) => void res.writeHead((requests += 1) === 1 ? 503 : 204).end());
  const { create, log } = deployment({ totalMs: 2_000 });
  const { id } = await create(flaky.url);
  const [row] = await until(
    () => log(id),
    ([one]) => one?.status === 'done',
  );
  expect(row).toMatchObject({ tries: 2 });
  expect((row?.endedMs ?? 0) - (row?.createdMs ?? 0)).toBeGreaterThanOrEqual(5_000);
});

test('a fresh secret signs from the next delivery on; a test goes out at once', async () => {
  const { Webhook } = await import('standardwebhooks');
  const there = await receiver();
  const { create, door } = deployment({ totalMs: 2_000 });
  const webhook = await create(there.url);
  await until(
    () => there.received.length,
    (count) => count === 1,
  );
  const rotated = await door.run((ctx) => rotateSecret(ctx, ctx.tx.webhook(webhook.id) as WebhookRow, BY));
  await until(
    () => there.received.length,
    (count) => count === 2,
  );
  const delivery = await door.run((ctx) => testWebhook(ctx, rotated, BY));
  const found = await until(
    () => there.received.find(({ headers }) => headers['webhook-id'] === delivery.message),
    (one) => one !== undefined,
  );
  expect(new Webhook(rotated.secret).verify(found?.body ?? '', found?.headers ?? {})).toMatchObject({ type: 'webhook.test' });
  const [first] = there.received;
  expect(new Webhook(webhook.secret).verify(first?.body ?? '', first?.headers ?? {})).toMatchObject({ type: 'audit' });
  expect(() => new Webhook(webhook.secret).verify(found?.body ?? '', found?.headers ?? {})).toThrow(/signature/);
});
