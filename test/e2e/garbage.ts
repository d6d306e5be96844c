/**
 * Many sectors of which half are aborted at random points, some paused and the rest finished, while garbage is collected all the
 * time without any grace: at the end object storage and runners hold exactly what live jobs need, and a dry run says so.
 */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import Database from 'better-sqlite3';
import { expect, vi } from 'vitest';
import { ApiError, type Client } from '../../src/api/client.ts';
import { seededRandom } from './killing.ts';
import { Deployment } from './processes.ts';

const SEED = Number(process.env['SEED'] ?? 6);
/** A sealed job has about forty events. */
const MOST_EVENTS = 36;
const RUNNERS = ['one', 'two'];
const QUIET = { timeout: 120_000, interval: 200 };

type Fate = { readonly act: 'abort' | 'pause' | 'nothing'; readonly afterEvents: number };

/** Seals `sectors`, a quarter of them up to a pause and half of them up to an abort. */
export async function collectAround(sectors: number, withinMs: number): Promise<void> {
  const random = seededRandom(SEED);
  const deployment = await Deployment.start({
    settings: {
      SEALPOOL_WORKERS: `[{ name = "local", threads = ${sectors} }]`,
      SEALPOOL_GC_EVERY_MS: '0',
      SEALPOOL_GC_GRACE_MS: '0',
      SEALPOOL_GC_UPLOAD_AGE_MS: '1',
      SEALPOOL_RATE_LIMITS_TOKEN: '{ per_second = 1000, burst = 1000 }',
    },
  });
  const over = new AbortController();
  try {
    for (const name of RUNNERS) await deployment.addRunner(name);
    const { client } = deployment;
    const fates = new Map<string, Fate>();
    for (const [at, job] of (await deployment.pledge(sectors)).entries())
      fates.set(job, {
        act: at % 2 === 0 ? 'abort' : at % 4 === 1 ? 'pause' : 'nothing',
        afterEvents: 1 + Math.floor(random() * MOST_EVENTS),
      });
    const meeting = meetFates(client, fates, over.signal);
    const collecting = collectAlways(client, over.signal);
    await vi.waitFor(async () => expect(await unsettled(client, fates)).toEqual([]), { timeout: withinMs, interval: 1_000 });
    over.abort();
    await Promise.all([meeting, collecting]);
    await exactlyWhatIsNeeded(deployment);
    await dryRunAgrees(deployment, [...fates.keys()]);
  } finally {
    over.abort();
    await deployment.end();
  }
}

/** Aborts or pauses each job once so many events of it have come. */
async function meetFates(client: Client, fates: ReadonlyMap<string, Fate>, stop: AbortSignal): Promise<void> {
  const seen = new Map<string, number>();
  for await (const { job } of client.follow({ signal: stop })) {
    const fate = job === null ? undefined : fates.get(job);
    if (job === null || fate === undefined) continue;
    const count = (seen.get(job) ?? 0) + 1;
    seen.set(job, count);
    if (count !== fate.afterEvents || fate.act === 'nothing') continue;
    await (fate.act === 'abort' ? client.abort(job, { force: true }) : client.pause(job, { now: true })).catch((error: unknown) => {
      // It has ended before.
      if (!(error instanceof ApiError) || error.problem.status !== 409) throw error;
    });
  }
}

async function collectAlways(client: Client, stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    const { unknown } = await client.collectGarbage();
    expect(unknown.count).toBe(0);
  }
}

/** Jobs that still have to get where they are meant to. Whatever stopped one by itself fails the test. */
async function unsettled(client: Client, fates: ReadonlyMap<string, Fate>): Promise<string[]> {
  const { items } = await client.sectors({ limit: 500 });
  return items.flatMap(({ id, state, paused, error }) => {
    const act = fates.get(id)?.act;
    if (state === 'Finished' || (state === 'Aborted' && act === 'abort') || (paused && act === 'pause')) return [];
    if (paused || state === 'Aborted') throw new Error(`${id} stopped in ${state}: ${error?.message}`);
    return [`${id} in ${state}`];
  });
}

type Row = { readonly id: string; readonly state: string; readonly data: string };

/** What the database says jobs need, read with statements of its own. */
function needed(deployment: Deployment): { keys: string[]; deleting: number } {
  const db = new Database(join(deployment.folder, 'data/sealpool.sqlite'), { readonly: true });
  try {
    const jobs = db.prepare("select id, state, data from jobs where state <> 'Finished'").all() as Row[];
    // Of an aborted job that is what is kept until its pre-commit has expired.
    const keys = jobs.flatMap(({ data }) => Object.values((JSON.parse(data) as { artifacts: Record<string, { key: string }> }).artifacts));
    const open = "select count(*) from effects where status = 'open' and step <> 'DeleteKept' and json_extract(want, '$.kind') = 'delete'";
    return { keys: keys.map(({ key }) => key).toSorted(), deleting: db.prepare(open).pluck().get() as number };
  } finally {
    db.close();
  }
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .toSorted();
}

async function exactlyWhatIsNeeded(deployment: Deployment): Promise<void> {
  const data = join(deployment.folder, 'data');
  await vi.waitFor(() => {
    const { keys, deleting } = needed(deployment);
    expect(deleting).toBe(0);
    expect(filesBelow(join(data, 'objects')).filter((key) => !key.startsWith('probes/down-'))).toEqual(keys);
    expect(filesBelow(join(data, 'uploads')).filter((file) => !file.endsWith('.done/upload.json'))).toEqual([]);
    for (const name of RUNNERS) expect(readdirSync(join(deployment.folder, `runner-${name}`, 'work'))).toEqual([]);
  }, QUIET);
  // Jobs stand still in the middle: it is about more than an empty folder.
  expect(needed(deployment).keys.length).toBeGreaterThan(0);
}

async function dryRunAgrees(deployment: Deployment, jobs: readonly string[]): Promise<void> {
  const { client } = deployment;
  const clean = await client.garbage();
  expect({ items: clean.items, held: clean.held }).toEqual({ items: [], held: false });
  const ended = (await Promise.all(jobs.slice(0, 8).map((job) => client.sector(job)))).flatMap(({ attempts, job }) =>
    attempts.filter(({ status }) => status !== 'running').map(({ id }) => ({ job: job.id, attempt: id })),
  )[0];
  if (ended === undefined) throw new Error('no attempt has ended');
  const late = { key: `jobs/${ended.job}/${ended.attempt}/late.dat`, sizeBytes: 5, reason: 'attempt_ended', job: ended.job };
  const probe = { key: 'probes/0123456789abcdef', sizeBytes: 5, reason: 'probe', job: null };
  const foreign = { key: 'jobs/j-0000000000000000/a-0000000000000000/sealed', sizeBytes: 5, reason: 'unknown', job: null };
  const objects = join(deployment.folder, 'data/objects');
  for (const { key } of [late, probe, foreign]) {
    mkdirSync(dirname(join(objects, key)), { recursive: true });
    writeFileSync(join(objects, key), 'bytes');
  }
  const dry = await client.garbage();
  expect(dry.items).toHaveLength(3);
  expect(dry.items).toEqual(expect.arrayContaining([late, probe, foreign].map((item) => expect.objectContaining(item))));
  expect(dry).toMatchObject({
    removed: false,
    objects: { count: 2, sizeBytes: 10 },
    uploads: { count: 0 },
    unknown: { count: 1, sizeBytes: 5 },
  });
  const real = await client.collectGarbage();
  expect(real).toEqual({ ...dry, removed: true });
  await vi.waitFor(() => {
    const left = filesBelow(objects);
    expect([late, probe, foreign].map(({ key }) => left.includes(key))).toEqual([false, false, true]);
  }, QUIET);
  expect((await client.garbage()).items).toMatchObject([foreign]);
  await client.collectGarbage(true);
  await vi.waitFor(() => expect(filesBelow(objects)).not.toContain(foreign.key), QUIET);
}
