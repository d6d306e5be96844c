/** What `/metrics` says, over a real database: counts at the moment, counters of what was told, and nothing that is not known. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Door, openDoor } from '../../src/api/door.ts';
import type { Balances } from '../../src/chain/balances.ts';
import { openLog } from '../../src/main/log.ts';
import { randomIds } from '../../src/main/machine.ts';
import { followBalances, metricsOf } from '../../src/main/metrics.ts';
import type { Money } from '../../src/metrics/standing.ts';
import { DEFAULTS } from '../../src/scheduler/context.ts';
import { setHead } from '../../src/scheduler/head.ts';
import type { Store } from '../../src/scheduler/ports.ts';
import type { Event } from '../../src/schema/event.ts';
import { DeliveryId, WebhookId } from '../../src/schema/ids.ts';
import { openNodeStore } from '../../src/store/node.ts';
import { attempt, event, job, runner } from '../store/rows.ts';

const NOW_MS = 1_800_000_000_000;
/** What is told before anything happened. */
const FROM_ZERO = ['sealpool_lease_expired_total 0', 'sealpool_garbage_removed_total 0', 'sealpool_garbage_removed_bytes_total 0'];
const WEBHOOK = WebhookId.parse('w-000000000001');

let folder: string;
let store: Store;
let door: Door;
/** Transactions that were asked for. */
let reads: number;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sealpool-metrics-'));
  store = openNodeStore({ path: join(folder, 'sealpool.sqlite'), onFatal: () => undefined });
  const settings = { ...DEFAULTS, network: 'dev', miners: {}, threads: [] } as const;
  const opened = openDoor({ store, clock: { now: () => NOW_MS }, ids: randomIds, settings });
  reads = 0;
  door = {
    ...opened,
    run: (fn, request) => {
      reads += 1;
      return opened.run(fn, request);
    },
  };
});
afterEach(() => {
  store.close();
  rmSync(folder, { recursive: true, force: true });
});

const ours = (page: string): string[] =>
  page.split('\n').filter((line) => line.startsWith('sealpool_') && !/^sealpool_(build_info|\w+_bucket)/.test(line));

test('an empty control plane has no samples of what is not there, and its page is read once in five seconds', async () => {
  const { text } = metricsOf(door, () => []);
  const pages = await Promise.all(Array.from({ length: 50 }, () => text()));
  expect(ours(pages[0] as string)).toEqual(FROM_ZERO);
  expect(reads).toBe(1);
});

test('counts, lag and the deadline of the first unproven pre-commit', async () => {
  await door.run((ctx) => {
    setHead(ctx, { epoch: 1_000, epochMs: 30_000 });
    const preCommit = { cid: 'bafy', nonce: 1, try: 1, landedEpoch: 900 };
    ctx.tx.insertJob(job(1, { waiting: { for: 'runner', stage: 'C2', sinceMs: 1 }, data: { ...job(1).data, preCommit } }));
    ctx.tx.insertJob(job(2, { paused: true }));
    ctx.tx.insertAttempt(attempt(1));
    ctx.tx.insertRunner(runner(1));
    ctx.tx.insertRunner(runner(2, { status: 'banned', trust: 'rented' }));
    ctx.tx.insertWebhook({
      id: WEBHOOK,
      url: 'https://receiver.test/',
      description: '',
      types: null,
      miners: null,
      allowPrivate: false,
      secret: 'whsec_bm90IHNob3du',
      status: 'enabled',
      reason: null,
      cursor: 0,
      version: 1,
      failingSinceMs: null,
      createdMs: 1,
    });
    ctx.tx.insertDelivery({
      id: DeliveryId.parse('d-000000000001'),
      webhook: WEBHOOK,
      message: 'm',
      type: 'audit',
      event: 1,
      status: 'open',
      tries: 0,
      dueMs: NOW_MS,
      lastStatus: null,
      lastError: null,
      createdMs: NOW_MS - 90_000,
      endedMs: null,
    });
  });
  const page = await metricsOf(door, () => [{ address: 't0100', kind: 'worker', fil: 1.5 }]).text();
  expect(ours(page).toSorted()).toEqual(
    [
      'sealpool_sectors{plan="sealer",state="Empty",paused="false"} 1',
      'sealpool_sectors{plan="sealer",state="Empty",paused="true"} 1',
      'sealpool_queue{stage="C2"} 1',
      `sealpool_leases_running{stage="${attempt(1).stage}"} 1`,
      `sealpool_runners{status="${runner(1).status}",trust="${runner(1).trust}"} 1`,
      'sealpool_runners{status="banned",trust="rented"} 1',
      `sealpool_webhook_deliveries_open{webhook="${WEBHOOK}"} 1`,
      `sealpool_webhook_lag_seconds{webhook="${WEBHOOK}"} 90`,
      'sealpool_prove_commit_epochs_left 86450',
      'sealpool_chain_head_epoch 1000',
      'sealpool_balance_fil{address="t0100",kind="worker"} 1.5',
      ...FROM_ZERO,
    ].toSorted(),
  );
  expect(page).not.toContain('whsec_');
});

test('events become counters and histograms', async () => {
  const metrics = metricsOf(door, () => []);
  const told = (change: Partial<Event>): Event => ({ ...event(1), seq: 1, ...change });
  const about = attempt(1, { grantedMs: 1_000, endedMs: 61_000 });
  metrics.event(told({ kind: 'attempt', detail: { status: 'running' } }), attempt(1));
  metrics.event(told({ kind: 'attempt', detail: { status: 'done' } }), about);
  metrics.event(told({ kind: 'attempt', detail: { status: 'lost', reason: 'its lease ran out without a heartbeat' } }), about);
  metrics.event(told({ kind: 'attempt', detail: { status: 'lost', reason: 'the runner was banned' } }), about);
  metrics.event(told({ kind: 'error', detail: { category: 'temporary', code: 'rpc_timeout', pauses: false } }), undefined);
  metrics.event(told({ kind: 'error', detail: { category: 'permanent', code: 'ticket_expired', pauses: true } }), undefined);
  metrics.webhookTry('delivered');
  const page = await metrics.text();
  for (const line of [
    `sealpool_stage_seconds_sum{stage="${about.stage}",status="done"} 60`,
    `sealpool_stage_seconds_bucket{le="30",stage="${about.stage}",status="done"} 0`,
    `sealpool_stage_seconds_bucket{le="60",stage="${about.stage}",status="done"} 1`,
    `sealpool_stage_seconds_count{stage="${about.stage}",status="lost"} 2`,
    'sealpool_lease_expired_total 1',
    'sealpool_errors_total{category="temporary",code="rpc_timeout"} 1',
    'sealpool_errors_total{category="permanent",code="ticket_expired"} 1',
    'sealpool_retries_total{category="temporary",code="rpc_timeout"} 1',
    'sealpool_webhook_tries_total{outcome="delivered"} 1',
  ])
    expect(page).toContain(`${line}\n`);
  expect(page).not.toContain('sealpool_retries_total{category="permanent"');
});

test('balances that the node does not tell are gone, those of other miners stay', async () => {
  const ending = new AbortController();
  const chain: Balances = {
    balances: async (miner) => {
      if (miner === 't01001') throw new Error('the node does not answer');
      return [{ address: miner, kind: 'available', attoFil: 2_500_000_000_000_000_000n }];
    },
  };
  const told = await new Promise<readonly Money[]>((resolve) => {
    void followBalances(chain, ['t01000', 't01001'], resolve, openLog('silent'), ending.signal);
  });
  ending.abort();
  expect(told).toEqual([{ address: 't01000', kind: 'available', fil: 2.5 }]);
});

test('a database that cannot be read leaves the counters', async () => {
  const metrics = metricsOf(door, () => []);
  await metrics.text();
  store.close();
  const page = await metricsOf(door, () => []).text();
  expect(ours(page)).toEqual(FROM_ZERO);
  expect(page).toContain('process_cpu_seconds_total');
});
