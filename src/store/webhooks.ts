/** Webhooks and their deliveries. */
import { and, asc, desc, eq, lt, lte, sql } from 'drizzle-orm';
import type { DeliveryId, WebhookId } from '../schema/ids.ts';
import type { Tx } from '../scheduler/ports.ts';
import type { DeliveryRow, WebhookRow } from '../scheduler/webhook-rows.ts';
import { bound as p, type Db, prepareInsert, prepareUpdate, type Written } from './db.ts';
import { deliveries, webhooks } from './tables.ts';

/** Spelt as the partial indexes spell it, so that they are used. */
const OPEN = sql`${deliveries.status} = 'open'`;

const listText = (list: readonly string[] | null): string | null => (list === null ? null : JSON.stringify(list));
const listOf = (text: string | null): string[] | null => (text === null ? null : (JSON.parse(text) as string[]));

function webhookColumns(row: WebhookRow): Written<typeof webhooks> {
  return { ...row, types: listText(row.types), miners: listText(row.miners), allowPrivate: row.allowPrivate ? 1 : 0 };
}

function webhookOf({ seq: _seq, ...row }: typeof webhooks.$inferSelect): WebhookRow {
  return { ...row, types: listOf(row.types), miners: listOf(row.miners), allowPrivate: row.allowPrivate === 1 } as WebhookRow;
}

function deliveryOf({ seq: _seq, ...row }: typeof deliveries.$inferSelect): DeliveryRow {
  return row as DeliveryRow;
}

/** The part of `Tx` about webhooks. */
export function webhooksPart(db: Db) {
  const insert = prepareInsert(db, webhooks);
  const update = prepareUpdate(db, webhooks, webhooks.id);
  const byId = db
    .select()
    .from(webhooks)
    .where(eq(webhooks.id, p('id')))
    .prepare();
  const all = db.select().from(webhooks).orderBy(asc(webhooks.seq)).prepare();
  const remove = db
    .delete(webhooks)
    .where(eq(webhooks.id, p('id')))
    .prepare();
  return {
    insertWebhook: (row) => insert(webhookColumns(row)),
    updateWebhook: (row) => update(webhookColumns(row)),
    webhook(id) {
      const row = byId.get({ id });
      return row === undefined ? undefined : webhookOf(row);
    },
    webhooks: () => all.all().map(webhookOf),
    deleteWebhook(id) {
      db.delete(deliveries).where(eq(deliveries.webhook, id)).run();
      remove.run({ id });
    },
    ...deliveriesPart(db),
  } satisfies Partial<Tx>;
}

function deliveriesPart(db: Db) {
  const insert = prepareInsert(db, deliveries);
  const update = prepareUpdate(db, deliveries, deliveries.id);
  const renew = db
    .update(deliveries)
    .set({ tries: 0, dueMs: sql`${p('dueMs')}` })
    .where(and(OPEN, eq(deliveries.webhook, p('webhook'))))
    .prepare();
  const byId = db
    .select()
    .from(deliveries)
    .where(eq(deliveries.id, p('id')))
    .prepare();
  const due = db
    .select()
    .from(deliveries)
    .where(and(OPEN, eq(deliveries.webhook, p('webhook')), lte(deliveries.dueMs, p('nowMs'))))
    .orderBy(asc(deliveries.dueMs), asc(deliveries.seq))
    .limit(p('limit'))
    .prepare();
  const nextDue = db
    .select({ ms: sql<number | null>`min(${deliveries.dueMs})` })
    .from(deliveries)
    .where(and(OPEN, eq(deliveries.webhook, p('webhook'))))
    .prepare();
  const log = db
    .select()
    .from(deliveries)
    .where(and(eq(deliveries.webhook, p('webhook')), lt(deliveries.seq, p('before'))))
    .orderBy(desc(deliveries.seq))
    .limit(p('limit'))
    .prepare();
  const open = db
    .select({ webhook: deliveries.webhook, count: sql<number>`count(*)`, oldestMs: sql<number>`min(${deliveries.createdMs})` })
    .from(deliveries)
    .where(OPEN)
    .groupBy(deliveries.webhook)
    .prepare();
  const ended = db
    .select({ seq: deliveries.seq })
    .from(deliveries)
    .where(and(sql`${deliveries.status} <> 'open'`, lt(deliveries.endedMs, p('beforeMs'))))
    .limit(p('limit'))
    .prepare();
  const drop = db
    .delete(deliveries)
    .where(eq(deliveries.seq, p('seq')))
    .prepare();
  return {
    insertDelivery: (row) => insert(row),
    updateDelivery: (row) => update(row),
    renewOpenDeliveries: (webhook, dueMs) => void renew.run({ webhook, dueMs }),
    delivery(id: DeliveryId) {
      const row = byId.get({ id });
      return row === undefined ? undefined : deliveryOf(row);
    },
    deliveriesDue: (webhook, nowMs, limit) => due.all({ webhook, nowMs, limit }).map(deliveryOf),
    nextDeliveryMs: (webhook) => nextDue.get({ webhook })?.ms ?? undefined,
    deliveries(webhook, limit, cursor) {
      const rows = log.all({ webhook, before: cursor === null ? Number.MAX_SAFE_INTEGER : Number(cursor), limit: limit + 1 });
      const items = rows.slice(0, limit);
      return { items: items.map(deliveryOf), cursor: rows.length > limit ? String(items.at(-1)?.seq) : null };
    },
    countOpenDeliveries: () => open.all().map((row) => ({ ...row, webhook: row.webhook as WebhookId })),
    dropDeliveries(beforeMs, limit) {
      const rows = ended.all({ beforeMs, limit });
      for (const { seq } of rows) drop.run({ seq });
      return rows.length;
    },
  } satisfies Partial<Tx>;
}
