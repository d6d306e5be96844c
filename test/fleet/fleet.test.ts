/** 500 runners: what `bench/fleet` measures with 10,000, by conditions and counts. */
import { join } from 'node:path';
import { afterEach, expect, onTestFinished, test, vi } from 'vitest';
import { Deployment, MINER } from '../e2e/processes.ts';
import { seededRandom } from '../e2e/killing.ts';
import { Fleet } from './fleet.ts';
import { agrees, openLedger } from './ledger.ts';

const RUNNERS = 500;
const SECTORS = 350;
const LEASE_MS = 10_000;

let deployment: Deployment;
let fleet: Fleet | undefined;
afterEach(async () => {
  fleet?.end();
  await deployment.end();
});

const eventually = (holds: () => void): Promise<void> => vi.waitFor(holds, { timeout: 60_000, interval: 100 });

test(
  'of 500 runners: what killed ones held goes elsewhere, all come back after a crash and an outage, no lease is lost or doubled',
  { timeout: 300_000 },
  async () => {
    deployment = await Deployment.start({
      epochMs: 1_000,
      settings: {
        SEALPOOL_SCHEDULER_HEARTBEAT_MS: '1500',
        SEALPOOL_SCHEDULER_LEASE_MS: String(LEASE_MS),
        SEALPOOL_LOG_LEVEL: 'warn',
        SEALPOOL_WORKERS: `[{ name = "many", threads = ${SECTORS} }]`,
        // All of them come from this one machine, and a token for each is made in a moment.
        SEALPOOL_RATE_LIMITS_TOKEN: '{ per_second = 10000, burst = 10000 }',
      },
    });
    const random = seededRandom(1);
    // Some stages end at once, most outlast the test.
    const all = new Fleet({ runners: RUNNERS, url: deployment.url, workMs: () => (random() < 0.3 ? random() * 30_000 : 600_000) });
    fleet = all;
    const opened = openLedger(join(deployment.folder, 'data/sealpool.sqlite'), all);
    onTestFinished(() => opened.close());
    const ledger = opened.read;
    const whole = (): void => {
      const now = ledger();
      expect(agrees(now, all)).toBe(true);
      expect(all.orphans).toBe(0);
      expect([...now.broken, ...all.broken]).toEqual([]);
    };
    await all.join(deployment.client);
    await deployment.client.pledge({ plan: 'sealer', miner: MINER, count: SECTORS });
    await eventually(() => expect(all.received.size).toBe(SECTORS));
    await eventually(whole);

    const victims = all.runners.filter(({ held }) => held.size > 0).filter((_, at) => at % 7 === 0);
    for (const victim of victims) all.kill(victim);
    expect(all.orphans).toBeGreaterThan(20);
    await eventually(whole);
    expect(all.releasedMs).toHaveLength(all.killed.size);
    for (const victim of victims) victim.start();

    // One that floods is told so, and it alone.
    const [flooder] = all.runners as [(typeof all.runners)[number]];
    // A connection of one may also be cut before its request was read.
    const statuses = await Promise.all(Array.from({ length: 1_000 }, () => flooder.beatNow().catch(() => 429)));
    expect(new Set(statuses)).toEqual(new Set([200, 429]));
    await eventually(whole);

    await deployment.controlPlane.end('SIGKILL');
    all.forget();
    await deployment.controlPlane.start();
    await eventually(() => expect(all.heardMs.size).toBe(RUNNERS));
    await eventually(whole);

    const requeued = (): string[] =>
      ledger()
        .lost.map(({ id }) => id)
        .filter((id) => all.received.has(id));
    const before = requeued();
    await deployment.controlPlane.end('SIGKILL');
    all.forget();
    // Until every lease is long over.
    await eventually(() => expect(Date.now() - ledger().lastLeaseEndMs).toBeGreaterThan(LEASE_MS));
    await deployment.controlPlane.start();
    await eventually(() => expect(all.heardMs.size).toBe(RUNNERS));
    await eventually(whole);
    expect(requeued()).toEqual(before);
    expect([...all.refused.keys()].filter((status) => status !== 429)).toEqual([]);
  },
);
