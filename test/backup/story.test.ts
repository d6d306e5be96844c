/** The whole story on real processes: a backup, work that the backup knows nothing of, a restore; nothing is sent twice. */
import { spawnSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import type { SectorDetail, SectorView } from '../../src/api/client.ts';
import { SEALER } from '../../src/scheduler/plans/sealer.ts';
import { Deployment, ENTRY, MINER, cleanEnvironment } from '../e2e/processes.ts';

const ORDER = Object.keys(SEALER);
const PRE_COMMIT = 28;
const PROVE_COMMIT = 34;

let deployment: Deployment;
afterEach(() => deployment.end());

function sealpool(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--disable-warning=ExperimentalWarning', ENTRY, ...args], {
    env: cleanEnvironment(),
    encoding: 'utf8',
    timeout: 60_000,
  });
  return { status, stdout, stderr };
}

const jobs = async (): Promise<SectorView[]> => (await deployment.client.sectors({ limit: 200 })).items;
const at = ({ state }: { state: string }): number => ORDER.indexOf(state);
const isBetween = (job: SectorView, first: string, last: string): boolean =>
  at(job) >= ORDER.indexOf(first) && at(job) <= ORDER.indexOf(last);

/** Looks until it holds; pledges go on meanwhile where `each` makes them. */
async function untilJobs(holds: (all: SectorView[]) => boolean, each: (all: SectorView[]) => Promise<void> = async () => undefined) {
  const limit = Date.now() + 240_000;
  for (;;) {
    const all = await jobs();
    if (holds(all)) return all;
    if (Date.now() > limit) {
      const why = await Promise.all(all.map(async ({ id, state }) => `${state}: ${(await deployment.client.explain(id)).sentence}`));
      throw new Error(`it did not come to that:\n${why.join('\n')}`);
    }
    await each(all);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const isDone = ({ state, paused }: { state: string; paused: boolean }): boolean => state === 'Finished' || state === 'Aborted' || paused;

/** The messages that the chain took, by method; every one must have done its work, and no nonce may be missing. */
async function log(): Promise<Map<number, number>> {
  const messages = await deployment.messages();
  expect(messages.filter(({ state, exitCode }) => state !== 'landed' || exitCode !== 0)).toEqual([]);
  expect(messages.map(({ nonce }) => nonce).sort((a, b) => a - b)).toEqual(messages.map((_, n) => n));
  const count = (method: number): number => messages.filter((message) => message.method === method).length;
  return new Map([PRE_COMMIT, PROVE_COMMIT].map((method) => [method, count(method)]));
}

test(
  'backup in the middle of work, all of it finished, restored: one pre-commit and one prove-commit per sector',
  { timeout: 600_000 },
  async () => {
    deployment = await Deployment.start({ settings: { SEALPOOL_WORKERS: '[{ name = "local", threads = 3 }]' } });
    await deployment.addRunner('one');
    const data = join(deployment.folder, 'data');
    const file = join(deployment.folder, 'sealpool.backup');

    // Sectors before, at and after their pre-commit, and some that have no number yet.
    await deployment.pledge();
    await untilJobs((all) => all.some((job) => isBetween(job, 'PCSubmitted', 'ProofSubmitted')));
    await deployment.pledge(4);
    const early = (job: SectorView): boolean => isBetween(job, 'DealsAcquired', 'PC1Done');
    // Its files are stored: it ends by itself after the restore, and its thread seals what had no number.
    const late = (job: SectorView): boolean => isBetween(job, 'Persisted', 'ProofSubmitted');
    await untilJobs(
      (all) => all.some(early) && all.some(late) && all.some(({ sector }) => sector === null),
      async (all) => {
        if (!all.some(({ sector }) => sector === null)) await deployment.pledge();
      },
    );
    const taken = sealpool('backup', file, '--data', data);
    expect([taken.status, taken.stderr]).toEqual([0, '']);
    expect(statSync(file).mode & 0o777).toBe(0o600);

    // The work that will be lost: everything ends, and a sector is begun and finished that the backup never saw.
    await deployment.pledge();
    const lost = await untilJobs((all) => all.every(isDone));
    expect(lost.map(({ state }) => state)).toEqual(lost.map(() => 'Finished'));
    const before = await log();
    expect([...before.values()]).toEqual([lost.length, lost.length]);

    // Restored while it runs: refused. Then for real, the runner going on all the while.
    const refused = sealpool('restore', file, '--data', data);
    expect(refused).toMatchObject({ status: 1, stderr: expect.stringMatching(/another control plane is running .* stop it first/) });
    await deployment.controlPlane.end('SIGTERM');
    const restored = sealpool('restore', file, '--data', data);
    expect([restored.status, restored.stderr]).toEqual([0, '']);
    expect(restored.stdout).toMatch(/is kept as .*before-restore-.*\n.* unfinished jobs are compared with the chain/s);
    await deployment.controlPlane.start();

    const all = await untilJobs((items) => items.every(isDone));
    const details = await Promise.all(all.map(({ id }) => deployment.client.sector(id)));
    const ends = details.map(({ job }) => (job.paused ? job.error?.code : job.state));
    expect(ends.filter((end) => end !== 'Finished' && end !== 'proven_already')).toEqual([]);
    expect(ends).toContain('proven_already');
    expect(details.length).toBeLessThan(lost.length);
    expectCompared(details);

    // Jobs that had no number at the backup were sealed anew, under numbers that the chain had not given out.
    const numbers = new Set([...lost, ...all].map(({ sector }) => sector));
    expect([...(await log()).values()]).toEqual([numbers.size, numbers.size]);
    const anew = all.filter(({ sector }) => !lost.some((job) => job.sector === sector));
    expect(anew.length).toBeGreaterThan(0);
    expect(anew.every(({ state }) => state === 'Finished')).toBe(true);
    expect(readFileSync(join(deployment.folder, 'serve.log'), 'utf8')).not.toMatch(/"level":(50|60)/);
    expect(all.every(({ miner }) => miner === MINER)).toBe(true);
  },
);

test(
  'a pre-commit that the backup knows nothing of is still in the mempool: it is waited for, and no second one is signed',
  { timeout: 600_000 },
  async () => {
    deployment = await Deployment.start();
    await deployment.addRunner('one');
    const data = join(deployment.folder, 'data');
    const file = join(deployment.folder, 'sealpool.backup');
    const [job] = (await deployment.pledge()) as [string];
    await deployment.until(job, (detail) => detail.job.data.ticket !== undefined);
    expect(sealpool('backup', file, '--data', data).status).toBe(0);
    await control({ pause: true });
    const pending = async () => (await deployment.messages()).filter(({ state }) => state === 'pending');
    await deployment.until(job, (detail) => detail.job.state === 'PCSubmitted');
    expect(await pending()).toMatchObject([{ method: PRE_COMMIT, nonce: 0 }]);

    await deployment.controlPlane.end('SIGKILL');
    expect(sealpool('restore', file, '--data', data)).toMatchObject({ status: 0, stderr: '' });
    await deployment.controlPlane.start();
    const restored = await deployment.client.sector(job);
    expect(ORDER.indexOf(restored.job.state)).toBeLessThan(ORDER.indexOf('PCSubmitted'));
    const [message] = await pending();
    await untilSaid(job, new RegExp(`message ${message?.cid} .* is in the mempool and not in the restored database`));
    const { status, stderr } = sealpool('sectors', 'abort', job, '--data', data);
    expect([status, stderr]).toEqual([4, expect.stringMatching(/reconciling.*compared with the chain/)]);
    await control({ pause: false });

    const { job: finished } = await deployment.finished(job, 240_000);
    expect(finished.data.preCommit).toMatchObject({ found: true });
    expect([...(await log()).values()]).toEqual([1, 1]);
  },
);

async function control(request: Record<string, unknown>): Promise<void> {
  const token = readFileSync(join(deployment.folder, 'devnet', 'devnet.token'), 'utf8').trim();
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const answer = await fetch(`${deployment.chainUrl}/control`, { method: 'POST', headers, body: JSON.stringify(request) });
  expect(answer.status).toBe(200);
}

/** Asks why the job waits until that is the answer. */
async function untilSaid(job: string, sentence: RegExp): Promise<void> {
  const limit = Date.now() + 60_000;
  for (let said = ''; !sentence.test(said);) {
    if (Date.now() > limit) throw new Error(`it says: ${said}`);
    ({ sentence: said } = await deployment.client.explain(job));
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Each job that had a number at the backup was looked up, before any transition after it. */
function expectCompared(details: readonly SectorDetail[]): void {
  const restoredAt = details.map(({ events }) =>
    events.findIndex(({ detail }) => String(detail['reason']).startsWith('the database was restored')),
  );
  expect(restoredAt.some((position) => position >= 0)).toBe(true);
  for (const [n, { events, job }] of details.entries()) {
    const from = restoredAt[n] as number;
    const compared = events.findIndex(({ detail }) => String(detail['reason']).startsWith('compared with the chain'));
    if (compared < 0) continue;
    const between = events.slice(from + 1, compared).filter(({ kind }) => kind === 'transition' || kind === 'message');
    expect(between, job.id).toEqual([]);
  }
}
