/**
 * `node run.ts [--runners N] [--stages N] [--outage SECONDS]`: simulated runners against a real control plane beside a
 * real dev chain. Kills runners, then the control plane, then keeps it away for five minutes; prints figures as a
 * Markdown table and ends with 1 where a promise that is no matter of time was broken.
 */
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Deployment, MINER } from '../../test/e2e/processes.ts';
import { seededRandom } from '../../test/e2e/killing.ts';
import { Fleet } from '../../test/fleet/fleet.ts';
import { agrees, openLedger } from '../../test/fleet/ledger.ts';
import { figure } from '../store/measure.ts';
import { usageOf } from './usage.ts';

const { values } = parseArgs({
  options: {
    runners: { type: 'string', default: '10000' },
    stages: { type: 'string', default: '7000' },
    outage: { type: 'string', default: '300' },
    steady: { type: 'string', default: '60' },
  },
});
const [runners, stages, outageMs, steadyMs] = [
  Number(values.runners),
  Number(values.stages),
  Number(values.outage) * 1_000,
  Number(values.steady) * 1_000,
];
const THREADS_PER_WORKER = 1_000;
/** Stages end after half a minute to twenty. */
const [LEAST_WORK_MS, MOST_WORK_MS] = [30_000, 1_200_000];
const PLEDGE_AT_ONCE = 250;
const KILLED_SHARE = 0.05;
/** What an operator of ten thousand runners sets: a poll that finds nothing costs more than a heartbeat. */
const POLL_MS = 45_000;
const GIVE_UP_MS = 180_000;

const say = (what: string): void => console.error(`${new Date().toISOString().slice(11, 19)} ${what}`);
const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const rows: string[] = [];
const row = (what: string, figures: string): void => {
  rows.push(`| ${what} | ${figures} |`);
  say(`${what}: ${figures}`);
};
const shown = (times: readonly number[], unit: 'ms' | 's'): string => {
  const { p50Ms, p99Ms, slowestMs } = figure(times);
  const text = (ms: number): string => (unit === 'ms' ? ms.toFixed(1) : (ms / 1_000).toFixed(1));
  return `p50 ${text(p50Ms)} ${unit}, p99 ${text(p99Ms)} ${unit}, slowest ${text(slowestMs)} ${unit} (${times.length})`;
};

const threads = Array.from(
  { length: Math.ceil((1.2 * stages) / THREADS_PER_WORKER) },
  (_, at) => `{ name = "bench-${at}", threads = ${THREADS_PER_WORKER} }`,
);
const deployment = await Deployment.start({
  epochMs: 5_000,
  settings: {
    SEALPOOL_SCHEDULER_HEARTBEAT_MS: '7000',
    SEALPOOL_SCHEDULER_LEASE_MS: '20000',
    SEALPOOL_SCHEDULER_POLL_MS: String(POLL_MS),
    SEALPOOL_LOG_LEVEL: 'warn',
    SEALPOOL_WORKERS: `[${threads.join(', ')}]`,
    SEALPOOL_RATE_LIMITS_TOKEN: '{ per_second = 100000, burst = 100000 }',
    ...(process.env['BENCH_NODE_OPTIONS'] === undefined ? {} : { NODE_OPTIONS: process.env['BENCH_NODE_OPTIONS'] }),
  },
});
const random = seededRandom(1);
const fleet = new Fleet({
  runners,
  url: deployment.url,
  workMs: () => LEAST_WORK_MS + random() * (MOST_WORK_MS - LEAST_WORK_MS),
});
// Opened while there are file descriptors left.
const opened = openLedger(join(deployment.folder, 'data/sealpool.sqlite'), fleet);
const ledger = opened.read;
const broken: string[] = [];

/** Waits until it holds; a minute more than was promised, then it is broken. */
async function until(what: string, holds: () => boolean, withinMs = GIVE_UP_MS): Promise<number> {
  const beganMs = performance.now();
  while (!holds()) {
    if (performance.now() - beganMs > withinMs) {
      broken.push(`${what} did not come about within ${withinMs / 1_000} s`);
      say(broken.at(-1) as string);
      break;
    }
    await wait(250);
  }
  return performance.now() - beganMs;
}

const settled = (): Promise<number> => until('leases of runners and database are the same', () => agrees(ledger(), fleet));

/** The control plane's share of one core, and its memory, over what `during` does. */
async function used(what: string, during: () => Promise<unknown>): Promise<void> {
  const [before, beganMs] = [usageOf(deployment.controlPlane.pid), performance.now()];
  const own = process.cpuUsage();
  await during();
  const after = usageOf(deployment.controlPlane.pid);
  if (before === undefined || after === undefined) return;
  const seconds = (performance.now() - beganMs) / 1_000;
  const { user, system } = process.cpuUsage(own);
  row(
    `control plane, ${what}`,
    `${Math.round(((after.cpuS - before.cpuS) / seconds) * 100)} % of a core, ${Math.round(after.residentBytes / 2 ** 20)} MiB (at most ${Math.round(after.peakBytes / 2 ** 20)}); the simulated runners ${Math.round((user + system) / seconds / 10_000)} %`,
  );
}

/** Starts the control plane again and waits until every runner was answered. */
async function back(what: string): Promise<void> {
  fleet.forget();
  const beganMs = performance.now();
  await deployment.controlPlane.start();
  const readyMs = performance.now();
  await until(`all runners are back ${what}`, () => fleet.heardMs.size === runners);
  const backMs = [...fleet.heardMs.values()].map((atMs) => atMs - beganMs);
  row(`back ${what}, from its start`, `${shown(backMs, 's')}; it was ready after ${((readyMs - beganMs) / 1_000).toFixed(1)} s`);
  await settled();
}

function requeued(): number {
  return ledger().lost.filter(({ id }) => fleet.received.has(id) && !fleet.killed.has(id)).length;
}

try {
  const joinedMs = await (async () => {
    const beganMs = performance.now();
    await used('while they register', () => fleet.join(deployment.client));
    return performance.now() - beganMs;
  })();
  row('registered', `${runners} in ${(joinedMs / 1_000).toFixed(1)} s`);

  const queuedMs = performance.now();
  await used('while stages are queued and granted', async () => {
    for (let queued = 0; queued < stages; queued += PLEDGE_AT_ONCE) {
      await deployment.client.pledge({ plan: 'sealer', miner: MINER, count: Math.min(PLEDGE_AT_ONCE, stages - queued) });
      await until('stages are granted', () => fleet.received.size >= Math.min(stages, queued + PLEDGE_AT_ONCE / 2));
    }
    await until('all stages are granted', () => fleet.received.size >= stages);
  });
  row('queued and granted', `${stages} stages in ${((performance.now() - queuedMs) / 1_000).toFixed(1)} s`);
  await settled();

  fleet.forget();
  let trickles = true;
  const trickle = (async (): Promise<void> => {
    while (trickles) {
      await deployment.client.pledge({ plan: 'sealer', miner: MINER, count: 5 }).catch(() => undefined);
      await wait(1_000);
    }
  })();
  await used('steady', () => wait(steadyMs));
  row('heartbeat, steady', shown(fleet.took.heartbeat, 'ms'));
  row('next with a report, steady', shown(fleet.took.report, 'ms'));
  row(
    'next that found nothing, beyond its wait',
    shown(
      fleet.took.poll.filter((ms) => ms > POLL_MS - 50).map((ms) => Math.max(0, ms - POLL_MS)),
      'ms',
    ),
  );

  const victims = fleet.runners.filter(({ held }) => held.size > 0).slice(0, Math.round(runners * KILLED_SHARE));
  await used('while runners die', async () => {
    for (const victim of victims) {
      fleet.kill(victim);
      await wait(30_000 / victims.length);
    }
    await until('the stages of killed runners are leased again', () => fleet.orphans === 0);
  });
  row(`leased again after a kill (${victims.length} runners)`, shown(fleet.releasedMs, 's'));
  for (const victim of victims) victim.start();
  await settled();

  await deployment.controlPlane.end('SIGKILL');
  await back('after kill -9');

  trickles = false;
  await trickle;
  await deployment.controlPlane.end('SIGKILL');
  say(`the control plane is away for ${outageMs / 1_000} s`);
  await wait(outageMs);
  await back(`after ${outageMs / 1_000} s away`);
  fleet.forget();
  await used('the minute after', () => wait(60_000));
  row('heartbeat, the minute after', shown(fleet.took.heartbeat, 'ms'));
  await settled();
  row('leases of living runners that were requeued', String(requeued()));

  const end = ledger();
  broken.push(...end.broken, ...fleet.broken);
  row(
    'attempts',
    `${end.attempts}, of them ${end.lost.length} lost, ${[...fleet.done].map(([status, count]) => `${count} ${status}`).join(', ')}`,
  );
  if (fleet.refused.size > 0) row('refused', [...fleet.refused].map(([status, count]) => `${count} × ${status}`).join(', '));
} finally {
  fleet.end();
  opened.close();
  await deployment.end();
}
console.log(
  `${runners} runners, ${stages} stages; ${cpus().length} × ${cpus()[0]?.model}, Node ${process.versions.node}\n\n| what | figures |\n|---|---|\n${rows.join('\n')}\n`,
);
console.log(broken.length === 0 ? 'No lease was lost, doubled or requeued without need.' : `BROKEN:\n${broken.join('\n')}`);
process.exitCode = broken.length === 0 ? 0 : 1;
