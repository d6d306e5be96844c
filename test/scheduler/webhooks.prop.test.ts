/** Whatever order events, tries and outcomes come in: each event's delivery ends exactly once, under one id. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { deliveryTried, deliveryTurn } from '../../src/scheduler/deliveries.ts';
import { audit } from '../../src/scheduler/happened.ts';
import type { DeliveryRow, WebhookRow } from '../../src/scheduler/webhook-rows.ts';
import { createWebhook, enableWebhook } from '../../src/scheduler/webhooks.ts';
import type { DeliveryId, WebhookId } from '../../src/schema/ids.ts';
import { World } from './world.ts';

const BY = 'operator:somebody';

const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('events' as const), count: fc.integer({ min: 1, max: 5 }) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('turn' as const), atOnce: fc.integer({ min: 1, max: 4 }) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('outcome' as const),
      pick: fc.nat(50),
      status: fc.constantFrom(200, 204, 302, 410, 429, 500, null),
      // The answer of a process that died is recorded by nobody, or by one that was slow twice.
      recorded: fc.integer({ min: 0, max: 2 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('later' as const), ms: fc.integer({ min: 1, max: 30 * 3_600_000 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('enable' as const) }) },
);

test('any order of outcomes', { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const world = new World();
      try {
        const choice = { url: 'https://receiver.test/', description: '', types: null, miners: null, allowPrivate: false };
        const { id, cursor } = await world.run((ctx) => createWebhook(ctx, choice, BY));
        const underWay = new Map<DeliveryId, WebhookId>();
        const messages = new Map<DeliveryId, string>();
        const ends = new Map<DeliveryId, number>();
        const take = async (atOnce: number): Promise<void> => {
          const { parcels } = await world.run((ctx) => deliveryTurn(ctx, underWay, atOnce));
          for (const { delivery } of parcels) {
            expect(messages.get(delivery.id) ?? delivery.message).toBe(delivery.message);
            messages.set(delivery.id, delivery.message);
            underWay.set(delivery.id, id);
          }
        };
        const record = (delivery: DeliveryId, status: number | null): Promise<void> =>
          world.run((ctx) => {
            const before = ctx.tx.delivery(delivery)?.status;
            deliveryTried(ctx, delivery, { status, error: null });
            if (before === 'open' && ctx.tx.delivery(delivery)?.status !== 'open') ends.set(delivery, (ends.get(delivery) ?? 0) + 1);
          });
        const enable = () => world.run((ctx) => void enableWebhook(ctx, ctx.tx.webhook(id) as WebhookRow, BY));
        for (const now of steps) {
          if (now.kind === 'events') await world.run((ctx) => Array.from({ length: now.count }, () => audit(ctx, BY, 'x')).length);
          else if (now.kind === 'turn') await take(now.atOnce);
          else if (now.kind === 'later') world.nowMs += now.ms;
          else if (now.kind === 'enable') await enable();
          else {
            const delivery = [...underWay.keys()][now.pick % Math.max(1, underWay.size)];
            if (delivery === undefined) continue;
            for (let times = 0; times < now.recorded; times += 1) await record(delivery, now.status);
            underWay.delete(delivery);
          }
        }
        // The receiver is well from now on.
        await enable();
        underWay.clear();
        for (;;) {
          world.nowMs += 27 * 3_600_000;
          await take(50);
          if (underWay.size === 0) break;
          for (const delivery of underWay.keys()) await record(delivery, 200);
          underWay.clear();
        }
        const rows = await world.run(({ tx }): DeliveryRow[] => [...tx.deliveries(id, 500, null).items].reverse());
        const last = await world.run(({ tx }) => tx.lastEventSeq());
        expect(rows.map(({ event }) => event).sort((a, b) => Number(a) - Number(b))).toEqual(
          Array.from({ length: last - cursor }, (_, at) => cursor + 1 + at),
        );
        for (const row of rows) {
          expect(row.message).toBe(`ev-${row.event}`);
          expect(row.status).not.toBe('open');
          expect(row.tries).toBeLessThanOrEqual(10);
          expect(ends.get(row.id)).toBe(1);
        }
      } finally {
        world.close();
      }
    }),
    { numRuns: 60 },
  );
});
