/** A runner's credential in real processes: replaced while it is killed again and again, stolen, and revoked. */
import { cpSync, mkdirSync, readFileSync, watch, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { Stage } from '../../src/schema/stage.ts';
import { REPLAY_PROVER, Daemon, Deployment, ROOT } from './processes.ts';
import { seededRandom } from './killing.ts';

let deployment: Deployment;
afterEach(() => deployment.end());

const identityFile = (name: string): string => join(deployment.folder, `runner-${name}`, 'runner.json');
const credentialOf = (name: string): string => (JSON.parse(readFileSync(identityFile(name), 'utf8')) as { credential: string }).credential;
const runnerNamed = async (name: string) => (await deployment.client.runners()).items.find((runner) => runner.name === name);

/** Resolves when the runner's identity file is another one, at the moment of the rename. */
function replaced(name: string): Promise<void> {
  const folder = join(deployment.folder, `runner-${name}`);
  return new Promise((resolve) => {
    const watcher = watch(folder, (_, file) => {
      if (file !== 'runner.json') return;
      watcher.close();
      resolve();
    });
  });
}

test('replaced at every heartbeat and killed at each moment of it, the runner never loses its place', { timeout: 180_000 }, async () => {
  deployment = await Deployment.start({ settings: { SEALPOOL_SCHEDULER_CREDENTIAL_MS: '1', SEALPOOL_SCHEDULER_HEARTBEAT_MS: '50' } });
  const runner = await deployment.addRunner('killed');
  const random = seededRandom(7);
  const seen = new Set<string>();
  for (let kill = 0; kill < 12; kill += 1) {
    await replaced('killed');
    // Between the rename and the first use, or anywhere in the next rounds.
    if (kill % 2 === 1) await new Promise((resolve) => setTimeout(resolve, Math.floor(random() * 120)));
    await runner.end('SIGKILL');
    seen.add(credentialOf('killed'));
    await runner.start();
  }
  expect(seen.size).toBe(12);
  expect((await deployment.client.runners()).items).toHaveLength(1);
  expect(await runnerNamed('killed')).toMatchObject({ status: 'ready', strikes: 0 });
  const [job] = await deployment.pledge();
  await deployment.finished(job as string);
});

test(
  'a second agent with the credential: the runner is quarantined, nothing of either counts, the stage goes elsewhere',
  { timeout: 180_000 },
  async () => {
    deployment = await Deployment.start({ settings: { SEALPOOL_SCHEDULER_SELF_TEST: 'off' } });
    const stages = ['PC1'];
    const hold = join(deployment.folder, 'hold-pc1');
    const holding = join(deployment.folder, 'holding');
    writeFileSync(
      holding,
      `#!/bin/sh\nexec '${process.execPath}' '${join(ROOT, 'test/e2e/holding-prover.ts')}' '${deployment.folder}' "$@"\n`,
      {
        mode: 0o755,
      },
    );
    writeFileSync(hold, '');
    await deployment.addRunner('robbed', { trust: 'rented', stages, prover: holding });
    await deployment.addRunner('own', { stages: Stage.options.filter((stage) => stage !== 'PC1') });
    const [job = ''] = await deployment.pledge();
    const first = await deployment.until(job, ({ attempts }) => attempts.some(({ stage }) => stage === 'PC1'));
    const thiefData = join(deployment.folder, 'runner-thief');
    mkdirSync(thiefData);
    cpSync(identityFile('robbed'), join(thiefData, 'runner.json'));
    const thief = new Daemon(
      ['runner', '--data', thiefData, '--url', deployment.url],
      { SEALPOOL_PROVER: holding, SEALPOOL_RUNNER_STAGES: JSON.stringify(stages), SEALPOOL_RUNNER_NAME: 'thief' },
      join(deployment.folder, 'runner-thief.log'),
    );
    deployment.runners.set('thief', thief);
    await thief.start();
    await expect.poll(async () => (await runnerNamed('robbed'))?.status, { timeout: 60_000, interval: 100 }).toBe('quarantined');
    expect((await runnerNamed('robbed'))?.reason).toMatch(/two processes used its credential/);
    const { attempts } = await deployment.until(job, ({ attempts: all }) =>
      all.every(({ stage, status }) => stage !== 'PC1' || status === 'lost'),
    );
    expect(attempts.find(({ id }) => id === first.attempts.at(-1)?.id)?.status).toBe('lost');
    await deployment.addRunner('honest', { stages, prover: REPLAY_PROVER });
    const finished = await deployment.finished(job);
    const honest = (await runnerNamed('honest'))?.id;
    expect(finished.attempts.filter(({ stage, status }) => stage === 'PC1' && status === 'done').map(({ runner }) => runner)).toEqual([
      honest,
    ]);
  },
);

test('a banned runner is refused within a heartbeat, and its process ends with the sentence', { timeout: 60_000 }, async () => {
  deployment = await Deployment.start();
  const runner = await deployment.addRunner('banned');
  await deployment.client.runnerAction((await runnerNamed('banned'))?.id as string, 'ban');
  const askedMs = Date.now();
  expect(await runner.ended()).toBe(77);
  // Two heartbeats of half a second, and a busy machine.
  expect(Date.now() - askedMs).toBeLessThan(10_000);
  expect(readFileSync(join(deployment.folder, 'runner-banned.log'), 'utf8')).toContain('does not accept this runner');
});
