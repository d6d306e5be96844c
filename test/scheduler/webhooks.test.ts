/** Webhooks in the core: what becomes a delivery, when it is tried, how it ends, what people change. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  deliveryTried,
  deliveryTurn,
  dropOldDeliveries,
  fanOut,
  GIVE_UP_MS,
  KEPT_MS,
  type Parcel,
  RETRY_WAITS_MS,
} from '../../src/scheduler/deliveries.ts';
import { audit, noteRunner } from '../../src/scheduler/happened.ts';
import { base64OfHex } from '../../src/scheduler/webhook-secret.ts';
import type { DeliveryRow, WebhookRow } from '../../src/scheduler/webhook-rows.ts';
import {
  changeWebhook,
  createWebhook,
  deleteWebhook,
  disableWebhook,
  enableWebhook,
  MOST_WEBHOOKS,
  redeliver,
  rotateSecret,
  testWebhook,
  type WebhookChoice,
} from '../../src/scheduler/webhooks.ts';
import { RunnerId } from '../../src/schema/ids.ts';
import { MINER, World } from './world.ts';

const BY = 'operator:somebody';
const CHOICE: WebhookChoice = { url: 'https://receiver.test/hook', description: '', types: null, miners: null, allowPrivate: false };

let world: World;
beforeEach(() => {
  world = new World();
});
afterEach(() => world.close());

const create = (choice: Partial<WebhookChoice> = {}): Promise<WebhookRow> =>
  world.run((ctx) => createWebhook(ctx, { ...CHOICE, ...choice }, BY));
const row = (id: WebhookRow['id']): Promise<WebhookRow> => world.run(({ tx }) => tx.webhook(id) as WebhookRow);
const log = (id: WebhookRow['id']): Promise<DeliveryRow[]> => world.run(({ tx }) => [...tx.deliveries(id, 500, null).items].reverse());
const turn = () => world.run((ctx) => deliveryTurn(ctx, new Map(), 500));
const tried = (id: DeliveryRow['id'], status: number | null) => world.run((ctx) => deliveryTried(ctx, id, { status, error: null }));
const happen = (times = 1) =>
  world.run((ctx) => {
    for (let at = 0; at < times; at += 1) audit(ctx, BY, 'something', { at });
  });
const runnerHappens = () =>
  world.run((ctx) => noteRunner(ctx, RunnerId.parse('r-000001'), 'runner_status', 'engine', { status: 'draining' }));

test('a webhook is told what happens after it was made, the making included, once', async () => {
  await happen(3);
  const { id } = await create();
  await happen(2);
  const { parcels, more } = await turn();
  expect(more).toBe(false);
  const last = await world.run(({ tx }) => tx.lastEventSeq());
  // Its own making is an event after the newest one it starts at.
  expect(parcels.map(({ delivery }) => delivery.message)).toEqual([`ev-${last - 2}`, `ev-${last - 1}`, `ev-${last}`]);
  expect((await turn()).parcels.map(({ delivery }) => delivery.id)).toEqual(parcels.map(({ delivery }) => delivery.id));
  expect(await log(id)).toHaveLength(3);
});

test('types and miners decide; what is of no miner goes to webhooks of all only', async () => {
  const all = await create();
  const ofMiner = await create({ miners: [MINER] });
  const created = await create({ types: ['sector.created'] });
  const runners = await create({ types: ['runner.status', 'audit'] });
  await world.ask();
  await runnerHappens();
  await turn();
  const types = async ({ id }: WebhookRow) => (await log(id)).map(({ type }) => type);
  expect(await types(all)).toEqual(expect.arrayContaining(['audit', 'sector.created', 'runner.status']));
  expect(new Set((await types(ofMiner)).map((type) => type.split('.')[0]))).toEqual(new Set(['sector']));
  expect(await types(created)).toEqual(['sector.created']);
  expect((await types(runners)).at(-1)).toBe('runner.status');
  expect(new Set(await types(runners))).toEqual(new Set(['audit', 'runner.status']));
});

test('many events are made into deliveries in several transactions, none twice and none left out', async () => {
  const webhook = await create();
  await happen(25);
  let transactions = 0;
  while (await world.run((ctx) => fanOut(ctx, ctx.tx.webhook(webhook.id) as WebhookRow, 4))) transactions += 1;
  expect(transactions).toBeGreaterThanOrEqual(6);
  const seqs = (await log(webhook.id)).map(({ event }) => event);
  expect(seqs).toEqual(Array.from({ length: 26 }, (_, at) => webhook.cursor + 1 + at));
});

test('the body has type, time and event, and is the same on every try', async () => {
  await create();
  const first = (await turn()).parcels[0];
  const event = await world.run(({ tx }) => tx.event(first?.delivery.event as number));
  expect(JSON.parse(first?.body ?? '')).toEqual({ type: 'audit', timestamp: new Date(event?.atMs ?? 0).toISOString(), data: event });
  await tried(first?.delivery.id as DeliveryRow['id'], 500);
  world.nowMs += 10_000;
  expect((await turn()).parcels[0]).toMatchObject({ body: first?.body, delivery: { message: first?.delivery.message } });
});

test('a delivery that fails is tried ten times over three days, with jitter, then it has failed', async () => {
  const { id } = await create();
  const [{ delivery }] = (await turn()).parcels as readonly [Parcel, ...Parcel[]];
  for (const waitMs of RETRY_WAITS_MS) {
    const triedMs = world.nowMs;
    await tried(delivery.id, 503);
    const [{ dueMs, status }] = (await log(id)) as [DeliveryRow];
    expect(status).toBe('open');
    expect(dueMs - triedMs).toBeGreaterThanOrEqual(waitMs);
    expect(dueMs - triedMs).toBeLessThanOrEqual(waitMs * 1.1);
    world.nowMs = dueMs - 1;
    const early = await turn();
    expect(early.parcels.map((parcel) => parcel.delivery.id)).not.toContain(delivery.id);
    expect(early.nextMs).toBe(dueMs);
    world.nowMs = dueMs;
    expect((await turn()).parcels.map((parcel) => parcel.delivery.id)).toContain(delivery.id);
  }
  // The receiver takes other ones: only this delivery is at its end.
  await happen(1);
  await tried((await turn()).parcels.find((parcel) => parcel.delivery.id !== delivery.id)?.delivery.id as DeliveryRow['id'], 200);
  await tried(delivery.id, 503);
  expect((await log(id)).find((one) => one.id === delivery.id)).toMatchObject({
    status: 'failed',
    tries: 10,
    lastStatus: 503,
    endedMs: world.nowMs,
  });
  expect((await row(id)).status).toBe('enabled');
});

test.each([200, 204, 299])('%i is success, and it ends the time of failing', async (status) => {
  const { id } = await create();
  const [{ delivery }] = (await turn()).parcels as readonly [Parcel, ...Parcel[]];
  await tried(delivery.id, 500);
  expect((await row(id)).failingSinceMs).toBe(world.nowMs);
  await tried(delivery.id, status);
  expect((await log(id))[0]).toMatchObject({ status: 'done', tries: 2, lastStatus: status, lastError: null });
  expect((await row(id)).failingSinceMs).toBeNull();
  await tried(delivery.id, 500);
  expect((await log(id))[0]).toMatchObject({ status: 'done', tries: 2 });
});

test.each([null, 199, 301, 302, 307, 308, 400, 404, 429, 500])('%s is a failure that is tried again', async (status) => {
  const { id } = await create();
  const [{ delivery }] = (await turn()).parcels as readonly [Parcel, ...Parcel[]];
  await tried(delivery.id, status);
  const [after] = (await log(id)) as [DeliveryRow];
  expect(after).toMatchObject({ status: 'open', tries: 1, lastStatus: status });
  if (status !== null && status >= 300 && status < 400) expect(after.lastError).toMatch(/redirects are not followed/);
});

test('410 disables, with an event; enabled again it goes on with what was open and what happened meanwhile', async () => {
  const { id, version } = await create();
  await happen(1);
  const { parcels } = await turn();
  await tried(parcels[0]?.delivery.id as DeliveryRow['id'], 410);
  expect(await row(id)).toMatchObject({ status: 'disabled', reason: expect.stringMatching(/410 Gone.*enable/), version });
  expect((await log(id))[0]).toMatchObject({ status: 'failed', tries: 1 });
  const [event] = await world.run(({ tx }) => tx.eventsAfter(tx.lastEventSeq() - 1, 1));
  expect(event).toMatchObject({ kind: 'audit', actor: 'engine', detail: { action: 'webhooks.disable', webhook: id } });
  await happen(1);
  expect((await turn()).parcels).toEqual([]);
  await world.run((ctx) => enableWebhook(ctx, ctx.tx.webhook(id) as WebhookRow, BY));
  // The open one, the disabling, what happened, the enabling.
  expect((await turn()).parcels.map(({ delivery }) => delivery.event)).toEqual(
    [0, 1, 2, 3].map((at) => (parcels[1]?.delivery.event ?? 0) + at),
  );
  expect(await row(id)).toMatchObject({ status: 'enabled', reason: null, failingSinceMs: null, version: version + 1 });
});

test('three days in which every try failed disable; a success in between begins them anew, and one failure alone says nothing', async () => {
  const { id } = await create();
  await happen(1);
  const first = (await turn()).parcels.at(-1)?.delivery.id as DeliveryRow['id'];
  const fails = (status: number): Promise<void> => tried(first, status);
  const succeeds = async (): Promise<void> => {
    await happen(1);
    const { parcels } = await turn();
    await tried(parcels.find(({ delivery }) => delivery.id !== first)?.delivery.id as DeliveryRow['id'], 200);
  };
  await fails(500);
  world.nowMs += GIVE_UP_MS;
  // The first delivery has failed twice only.
  await fails(500);
  expect((await row(id)).status).toBe('enabled');
  await succeeds();
  expect(await row(id)).toMatchObject({ status: 'enabled', failingSinceMs: null });
  await fails(500);
  world.nowMs += GIVE_UP_MS - 1;
  await fails(500);
  expect((await row(id)).status).toBe('enabled');
  world.nowMs += 1;
  await fails(500);
  expect(await row(id)).toMatchObject({ status: 'disabled', reason: expect.stringMatching(/three days.*answered 500.*enable/) });
  // What it was to be told is there still, to go on with.
  expect(await world.run((ctx) => ctx.tx.delivery(first)?.status)).toBe('open');
});

test('deliveries that come to their last try together all go on when the webhook is enabled again', async () => {
  const { id } = await create();
  await happen(2);
  const ids = (await turn()).parcels.map(({ delivery }) => delivery.id);
  for (let times = 0; times < RETRY_WAITS_MS.length; times += 1) for (const one of ids) await tried(one, 503);
  world.nowMs += GIVE_UP_MS;
  for (const one of ids) await tried(one, 503);
  expect((await row(id)).status).toBe('disabled');
  expect((await log(id)).map(({ status }) => status)).toEqual(ids.map(() => 'open'));
});

test('a webhook that is enabled again begins the tries of what is open anew, all of it due now', async () => {
  const webhook = await create();
  const other = await create({ types: ['sector.created'] });
  await world.ask();
  const [elsewhere] = (await turn()).parcels.filter(({ delivery }) => delivery.webhook === other.id) as [Parcel];
  await tried(elsewhere.delivery.id, 500);
  const [first, second] = (await turn()).parcels.filter(({ delivery }) => delivery.webhook === webhook.id) as [Parcel, Parcel];
  await tried(second.delivery.id, 200);
  for (let times = 0; times < RETRY_WAITS_MS.length; times += 1) await tried(first.delivery.id, 503);
  await world.run((ctx) => disableWebhook(ctx, webhook, BY));
  world.nowMs += 60_000;
  await world.run((ctx) => enableWebhook(ctx, ctx.tx.webhook(webhook.id) as WebhookRow, BY));
  const ofWebhook = await log(webhook.id);
  expect(ofWebhook.find((one) => one.id === first.delivery.id)).toMatchObject({ status: 'open', tries: 0, dueMs: world.nowMs });
  expect(ofWebhook.find((one) => one.id === second.delivery.id)).toMatchObject({ status: 'done', tries: 1 });
  expect((await log(other.id))[0]).toMatchObject({ status: 'open', tries: 1 });
  // One more failure is no end.
  await tried(first.delivery.id, 503);
  expect((await log(webhook.id)).find((one) => one.id === first.delivery.id)).toMatchObject({ status: 'open', tries: 1 });
});

test('a test that fails says nothing of what happens: the first failure after a quiet time does not disable', async () => {
  const webhook = await create();
  const test = await world.run((ctx) => testWebhook(ctx, webhook, BY));
  await tried(test.id, 500);
  expect((await row(webhook.id)).failingSinceMs).toBeNull();
  world.nowMs += 2 * GIVE_UP_MS;
  await happen(1);
  await tried((await turn()).parcels.at(-1)?.delivery.id as DeliveryRow['id'], 503);
  expect((await row(webhook.id)).status).toBe('enabled');
});

test('a test is tried once and has an id of its own', async () => {
  const webhook = await create();
  const delivery = await world.run((ctx) => testWebhook(ctx, webhook, BY));
  expect(delivery).toMatchObject({ message: `test-${delivery.id.slice(2)}`, type: 'webhook.test', event: null });
  const parcel = (await turn()).parcels.find((found) => found.delivery.id === delivery.id);
  expect(JSON.parse(parcel?.body ?? '')).toMatchObject({ type: 'webhook.test', data: { webhook: webhook.id } });
  await tried(delivery.id, 500);
  expect(await world.run(({ tx }) => tx.delivery(delivery.id))).toMatchObject({ status: 'failed', tries: 1 });
});

test('redelivering begins the tries anew under the same id; an open one is due at once', async () => {
  const webhook = await create();
  const [{ delivery }] = (await turn()).parcels as readonly [Parcel, ...Parcel[]];
  const again = () => world.run((ctx) => redeliver(ctx, webhook, ctx.tx.delivery(delivery.id) as DeliveryRow, BY));
  await tried(delivery.id, 500);
  expect(await again()).toMatchObject({ status: 'open', tries: 1, dueMs: world.nowMs });
  await tried(delivery.id, 200);
  expect(await again()).toMatchObject({ status: 'open', tries: 0, message: delivery.message, endedMs: null });
  expect((await turn()).parcels.map((parcel) => parcel.delivery.id)).toContain(delivery.id);
});

test('a disabled webhook is neither tested nor redelivered to', async () => {
  const webhook = await create();
  const [{ delivery }] = (await turn()).parcels as readonly [Parcel, ...Parcel[]];
  const disabled = await world.run((ctx) => disableWebhook(ctx, webhook, BY));
  await expect(world.run((ctx) => testWebhook(ctx, disabled, BY))).rejects.toMatchObject({ code: 'webhook_disabled' });
  await expect(world.run((ctx) => redeliver(ctx, disabled, delivery, BY))).rejects.toMatchObject({ code: 'webhook_disabled' });
});

test('each change by hand raises the version and says who; secrets are fresh and stay out of events', async () => {
  const webhook = await create();
  const from = await world.run(({ tx }) => tx.lastEventSeq());
  const changed = await world.run((ctx) => changeWebhook(ctx, webhook, { url: 'https://other.test/?key=canary' }, BY));
  const rotated = await world.run((ctx) => rotateSecret(ctx, changed, BY));
  const disabled = await world.run((ctx) => disableWebhook(ctx, rotated, BY));
  expect(await world.run((ctx) => disableWebhook(ctx, disabled, BY))).toEqual(disabled);
  const enabled = await world.run((ctx) => enableWebhook(ctx, disabled, BY));
  expect([webhook, changed, rotated, disabled, enabled].map(({ version }) => version)).toEqual([1, 2, 3, 4, 5]);
  expect(rotated.secret).not.toBe(webhook.secret);
  await world.run((ctx) => deleteWebhook(ctx, enabled, BY));
  const events = await world.run(({ tx }) => tx.eventsAfter(from, 100));
  expect(events.map(({ actor, detail }) => [actor, detail['action']])).toEqual(
    ['update', 'rotate', 'disable', 'enable', 'delete'].map((word) => [BY, `webhooks.${word}`]),
  );
  const text = JSON.stringify(events);
  for (const secret of [webhook.secret, rotated.secret, 'canary']) expect(text).not.toContain(secret);
});

test('what is recorded of a deleted webhook changes nothing', async () => {
  const webhook = await create();
  const [{ delivery }] = (await turn()).parcels as readonly [Parcel, ...Parcel[]];
  await world.run((ctx) => deleteWebhook(ctx, webhook, BY));
  await tried(delivery.id, 200);
  expect(await world.run(({ tx }) => tx.delivery(delivery.id))).toBeUndefined();
});

test('http needs private addresses to be allowed; there is a most of webhooks', async () => {
  await expect(create({ url: 'http://receiver.test/' })).rejects.toMatchObject({ code: 'https_needed' });
  const inside = await create({ url: 'http://10.0.0.7/', allowPrivate: true });
  await expect(world.run((ctx) => changeWebhook(ctx, inside, { allowPrivate: false }, BY))).rejects.toMatchObject({ code: 'https_needed' });
  for (let at = 1; at < MOST_WEBHOOKS; at += 1) await create();
  await expect(create()).rejects.toMatchObject({ code: 'too_many_webhooks' });
});

test('the secret is whsec_ and base64 of 32 bytes', async () => {
  const { secret } = await create();
  expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
  for (const hex of ['', '00', 'ff10', '0102ff', 'deadbeef', 'fbefbefbef', 'ab'.repeat(32)])
    expect(base64OfHex(hex)).toBe(Buffer.from(hex, 'hex').toString('base64'));
});

test('what ended 30 days ago leaves the log; what is open stays', async () => {
  const { id } = await create();
  await happen(1);
  const { parcels } = await turn();
  await tried(parcels[0]?.delivery.id as DeliveryRow['id'], 200);
  world.nowMs += KEPT_MS;
  expect(await world.run(dropOldDeliveries)).toBe(false);
  expect(await log(id)).toHaveLength(2);
  world.nowMs += 1;
  await world.run(dropOldDeliveries);
  expect((await log(id)).map(({ id: left }) => left)).toEqual([parcels[1]?.delivery.id]);
});

test('of one webhook no more are given out than may be under way', async () => {
  await create();
  await happen(9);
  const first = await world.run((ctx) => deliveryTurn(ctx, new Map(), 4));
  expect(first.parcels).toHaveLength(4);
  const underWay = new Map(first.parcels.slice(1).map(({ delivery }) => [delivery.id, delivery.webhook]));
  const second = await world.run((ctx) => deliveryTurn(ctx, underWay, 4));
  expect(second.parcels.map(({ delivery }) => delivery.id)).toEqual([first.parcels[0]?.delivery.id]);
});
