/** How SQLite looks for events, answers, tokens, webhooks and deliveries: through an index and in its order, whatever is filtered by. */
import Database from 'better-sqlite3';
import { drizzle } from 'drizzle-orm/better-sqlite3';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { EventFilter, Tx } from '../../src/scheduler/ports.ts';
import { EventKind } from '../../src/schema/event.ts';
import type { DeliveryId, MinerId, TokenId, WebhookId } from '../../src/schema/ids.ts';
import type { Db } from '../../src/store/db.ts';
import { migrate } from '../../src/store/migrate.ts';
import * as tables from '../../src/store/tables.ts';
import { makeTx } from '../../src/store/tx.ts';
import { MINER, OTHER_MINER, apiToken, event, job, jobId, runnerId } from './rows.ts';

let client: Database.Database;
let tx: Tx;
/** Statements since the last look, with SQLite's plan for each. */
let seen: { readonly query: string; readonly steps: readonly string[] }[] = [];

beforeEach(() => {
  client = new Database(':memory:');
  let listens = false;
  const logQuery = (query: string, params: unknown[]): void => {
    if (!listens) return;
    const rows = client.prepare(`explain query plan ${query}`).all(...params) as { detail: string }[];
    seen.push({ query, steps: rows.map(({ detail }) => detail) });
  };
  const db: Db = drizzle(client, { schema: tables, logger: { logQuery } });
  migrate(db);
  tx = makeTx(db);
  listens = true;
  seen = [];
});
afterEach(() => void client.close());

const choices = <T>(...values: T[]): (T | undefined)[] => [undefined, ...values];

/** Every combination of what events can be filtered by, each by one value and by several. */
function filters(): EventFilter[] {
  return choices<EventFilter['kinds']>(['audit'], ['paused', 'error']).flatMap((kinds) =>
    choices(jobId(1)).flatMap((of) =>
      choices(runnerId(1)).flatMap((runner) =>
        choices<readonly MinerId[]>([MINER], [MINER, OTHER_MINER]).map((miners) => ({ kinds, job: of, runner, miners })),
      ),
    ),
  );
}

test('whatever events are filtered by, one index is walked in their order from the last one seen', () => {
  expect(filters()).toHaveLength(3 * 2 * 2 * 3);
  for (const filter of filters()) {
    seen = [];
    tx.eventsAfter(7, 9, filter);
    const any = Object.values(filter).some((value) => value !== undefined);
    for (const { query, steps } of seen) {
      const walk = steps.filter((step) => /^(SCAN|SEARCH) events/.test(step));
      expect(walk, query).toHaveLength(1);
      expect(walk[0], JSON.stringify(filter)).toMatch(
        any
          ? /^SEARCH events USING INDEX events_(job \(job|runner \(runner|kind \(kind|miner \(miner)=\? AND rowid>\?( AND rowid<\?)?\)$/
          : /^SEARCH events USING INTEGER PRIMARY KEY \(rowid>\?\)$/,
      );
      expect(steps.join('\n'), query).not.toContain('TEMP B-TREE');
    }
    // One statement for each kind, or for each miner where no kind is named.
    const lists = filter.job !== undefined || filter.runner !== undefined ? 1 : (filter.kinds?.length ?? filter.miners?.length ?? 1);
    expect(seen, JSON.stringify(filter)).toHaveLength(lists);
  }
});

test('a page of a list of kinds or miners is the page that reading everything gives', () => {
  const kinds = EventKind.options;
  for (const n of [1, 2]) tx.insertJob(job(n, { miner: n === 1 ? MINER : OTHER_MINER }));
  for (let n = 0; n < 400; n += 1) {
    const miner = [MINER, OTHER_MINER, null][(n * 7) % 3] as MinerId | null;
    const of = miner === null ? null : jobId(miner === MINER ? 1 : 2);
    tx.appendEvent(
      event(1, { job: of, miner, runner: n % 4 === 0 ? runnerId(1) : null, kind: kinds[(n * 5) % kinds.length] as EventKind }),
    );
  }
  const all = tx.eventsAfter(0, 1_000);
  for (const filter of [...filters(), { kinds: ['audit', 'audit', 'note'] as const }, { miners: [MINER, MINER] }]) {
    const holds = all.filter(
      (one) =>
        (filter.kinds === undefined || (filter.kinds as readonly string[]).includes(one.kind)) &&
        (!('job' in filter) || filter.job === undefined || one.job === filter.job) &&
        (!('runner' in filter) || filter.runner === undefined || one.runner === filter.runner) &&
        (!('miners' in filter) || filter.miners === undefined || filter.miners.includes(one.miner as MinerId)),
    );
    for (const [after, limit] of [
      [0, 5],
      [0, 1_000],
      [123, 3],
      [390, 50],
    ] as const)
      expect(tx.eventsAfter(after, limit, filter), JSON.stringify(filter)).toEqual(holds.filter(({ seq }) => seq > after).slice(0, limit));
  }
});

test('answers, tokens, webhooks and deliveries are found by an index; only what is small is read whole', () => {
  const webhook = 'w-000000000000' as WebhookId;
  tx.insertApiToken(apiToken(1));
  tx.updateApiToken(apiToken(1));
  tx.apiTokenByHash('hash');
  tx.answer('t-000000000000' as TokenId, 'key');
  tx.insertAnswer({ token: 't-000000000000' as TokenId, key: 'key', request: '', answer: null, createdMs: 1 });
  tx.dropAnswers(5, 9);
  tx.webhooks();
  tx.webhook(webhook);
  tx.deliveriesDue(webhook, 5, 9);
  tx.nextDeliveryMs(webhook);
  tx.renewOpenDeliveries(webhook, 5);
  for (const cursor of [null, '5']) tx.deliveries(webhook, 9, cursor);
  tx.countOpenDeliveries();
  tx.dropDeliveries(5, 9);
  tx.delivery('d-000000000000' as DeliveryId);
  tx.deleteWebhook(webhook);
  tx.lastEventSeq();
  tx.event(5);
  tx.eventsOfJob(jobId(1), 9);
  // Webhooks are as many as people made; open deliveries are counted through the index that has no others.
  const small = ['SCAN webhooks', 'SCAN deliveries USING INDEX deliveries_due'];
  const costly = seen.flatMap(({ query, steps }) =>
    steps
      .filter((step) => (step.startsWith('SCAN') && !small.includes(step)) || step.includes('TEMP B-TREE'))
      .map((step) => `${step}: ${query}`),
  );
  expect(costly).toEqual([]);
  expect(seen.length).toBeGreaterThan(15);
});
