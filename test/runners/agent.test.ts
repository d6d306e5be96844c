/** The agent's life: who it is, its leases and reports, outages, the end, and what a crash leaves. */
import { spawn } from 'node:child_process';
import { mkdir, readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Stage } from '../../src/schema/stage.ts';
import { bytesOf } from '../objects/conformance.ts';
import { eventually, isRunning, proverWork, STAGE_PROGRAM, useAgent } from './agent-fixture.ts';

const fixture = useAgent();

/** Grants a stage that never ends; answers its attempt and process id once it runs. */
async function hanging(kind = 'hang', stage: 'PC1' | 'C2' = 'PC1'): Promise<{ attempt: string; pid: number }> {
  const started = join(fixture.dir, `started-${Math.random()}`);
  const { attempt } = await fixture.plane.grant({ stage, work: proverWork({ do: kind, started }) });
  await eventually(() => readFile(started, 'utf8').catch(() => '')).not.toBe('');
  return { attempt, pid: Number(await readFile(started, 'utf8')) };
}

describe('who it is', () => {
  test('the join token is used once, then the kept credential', async () => {
    const first = await fixture.start();
    await eventually(() => fixture.plane.nexts.length).toBeGreaterThan(0);
    const file = join(fixture.dataDir, 'runner.json');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    await first.stop();
    const second = await fixture.start({ joinToken: undefined });
    expect(second.runnerId).toBe(first.runnerId);
    expect(fixture.plane.registrations).toHaveLength(1);
    expect(fixture.plane.registrations[0]).toMatchObject({ name: 'test', storage: ['main'], resources: { cores: expect.any(Number) } });
    await eventually(() => new Set(fixture.plane.nexts.map(({ bootId }) => bootId)).size).toBe(2);
  });

  test('it offers every stage; without storage not those that read or write it', async () => {
    await fixture.start();
    await fixture.start({ storage: [], dataDir: join(fixture.dir, 'without') });
    const [all, without] = fixture.plane.registrations.map(({ stages }) => stages);
    expect(all).toEqual(Stage.options);
    expect(without).toEqual(Stage.options.filter((stage) => stage !== 'Persist' && stage !== 'Publish'));
  });

  test('no token and no credential, a used token, a missing storage folder, a damaged runner.json: each a sentence', async () => {
    await expect(fixture.start({ joinToken: undefined })).rejects.toThrow('no join token');
    await expect(fixture.start({ joinToken: 'sp-join-used-already' })).rejects.toThrow('join token is used');
    await expect(fixture.start({ storage: [{ id: 'main', path: '/nowhere' }] })).rejects.toThrow('/nowhere is not a folder');
    await writeFile(join(fixture.dataDir, 'runner.json'), '{');
    await expect(fixture.start()).rejects.toThrow('delete it');
  });

  test('a refused credential is replaced with the join token, without one the agent ends', async () => {
    const agent = await fixture.start();
    const other = fixture.plane.newToken();
    await agent.stop();
    fixture.plane.credentials.clear();
    const again = await fixture.start({ joinToken: other });
    await eventually(() => fixture.plane.registrations.length).toBe(2);
    const grant = await fixture.plane.grant({ work: proverWork({ do: 'copy' }) });
    expect(await fixture.reported(grant.attempt)).toMatchObject({ outcome: 'done' });
    fixture.plane.credentials.clear();
    await expect(again.ended).rejects.toThrow('does not accept');
  });

  test('a second agent on the same folder is refused', async () => {
    await fixture.start();
    await expect(fixture.start()).rejects.toThrow('is in use by the runner with process id');
  });
});

describe('leases and reports', () => {
  test('heartbeats come while a stage runs, each with its attempt and epoch', async () => {
    await fixture.start();
    const { attempt } = await hanging();
    const named = () =>
      fixture.plane.heartbeats.filter(({ attempts }) => attempts.some((beat) => beat.attempt === attempt && beat.epoch === 1));
    await eventually(() => named().length).toBeGreaterThan(3);
    fixture.plane.cancelled.add(attempt);
  });

  test('a cancelled stage is killed with all its processes, its folder goes, nothing is reported', async () => {
    await fixture.start();
    const { attempt, pid } = await hanging('stubborn');
    fixture.plane.cancelled.add(attempt);
    await eventually(() => isRunning(pid)).toBe(false);
    await eventually(() => readdir(join(fixture.dataDir, 'work'))).toEqual([]);
    await eventually(() => fixture.plane.heartbeats.at(-1)?.attempts).toEqual([]);
    expect(fixture.plane.reportOf(attempt)).toBeUndefined();
  });

  test('a report is sent again while it is answered retry_later', async () => {
    await fixture.start({ slots: 1 });
    const grant = await fixture.plane.grant({ work: proverWork({ do: 'copy' }) });
    fixture.plane.statuses.set(grant.attempt, ['retry_later', 'retry_later']);
    const told = () => fixture.plane.reports.filter(({ attempt }) => attempt === grant.attempt);
    await eventually(() => told().length).toBe(3);
    expect(told()[2]).toEqual(told()[0]);
    await eventually(() => fixture.plane.heartbeats.at(-1)?.attempts).toEqual([]);
  });

  test('what has to be reported again keeps its slot: no other stage is begun beside it', async () => {
    await fixture.start({ slots: 1 });
    const grant = await fixture.plane.grant({ work: proverWork({ do: 'copy' }) });
    fixture.plane.statuses.set(grant.attempt, ['retry_later', 'retry_later', 'retry_later']);
    const more = await Promise.all([1, 2, 3].map(() => fixture.plane.grant({ work: proverWork({ do: 'copy' }) })));
    for (const { attempt } of more) await fixture.reported(attempt);
    expect(Math.max(...fixture.plane.nexts.map(({ running, reports }) => running.length - reports.length))).toBeLessThanOrEqual(1);
    expect(Math.max(...fixture.plane.nexts.map(({ freeSlots, running, reports }) => freeSlots + running.length - reports.length))).toBe(1);
  });

  test('a report answered lease_lost is dropped', async () => {
    await fixture.start({ slots: 1 });
    const grant = await fixture.plane.grant({ work: proverWork({ do: 'copy' }) });
    fixture.plane.statuses.set(grant.attempt, ['lease_lost']);
    const next = await fixture.plane.grant({ work: proverWork({ do: 'copy' }) });
    await fixture.reported(next.attempt);
    expect(fixture.plane.reports.filter(({ attempt }) => attempt === grant.attempt)).toHaveLength(1);
  });

  test('a report goes out at once while a poll for more work is held open', async () => {
    fixture.plane.pollMs = 60_000;
    await fixture.start({ slots: 2 });
    const grant = await fixture.plane.grant({ work: proverWork({ do: 'copy' }) });
    await eventually(() => fixture.plane.reportOf(grant.attempt)).toBeDefined();
  });
});

describe('slots', () => {
  test('as many stages at a time as slots, the rest waits', async () => {
    await fixture.start({ slots: 2 });
    const [one, two] = [await hanging(), await hanging()];
    const third = await fixture.plane.grant({ work: proverWork({ do: 'copy' }) });
    const seen = fixture.plane.heartbeats.length;
    await eventually(() => fixture.plane.heartbeats.length).toBeGreaterThan(seen + 3);
    expect(fixture.plane.reportOf(third.attempt)).toBeUndefined();
    fixture.plane.cancelled.add(one.attempt);
    expect(await fixture.reported(third.attempt)).toMatchObject({ outcome: 'done' });
    fixture.plane.cancelled.add(two.attempt);
  });

  test('of heavy stages one at a time; a cancelled one that waits ends at once', async () => {
    await fixture.start({ slots: 3 });
    const first = await hanging('hang', 'C2');
    const waiting = await fixture.plane.grant({ stage: 'PC2', work: proverWork({ do: 'copy' }) });
    const last = await fixture.plane.grant({ stage: 'SnapEncode', work: proverWork({ do: 'copy' }) });
    const noted = (attempt: string) => fixture.plane.heartbeats.at(-1)?.attempts.find((beat) => beat.attempt === attempt)?.note;
    await eventually(() => [noted(waiting.attempt), noted(last.attempt)]).toEqual(Array(2).fill('waiting for another heavy stage to end'));
    fixture.plane.cancelled.add(waiting.attempt);
    await eventually(() => noted(waiting.attempt)).toBeUndefined();
    expect(noted(last.attempt)).toBe('waiting for another heavy stage to end');
    fixture.plane.cancelled.add(first.attempt);
    expect(await fixture.reported(last.attempt)).toMatchObject({ outcome: 'done' });
  });
});

describe('outages', () => {
  test('the control plane goes away during a stage: the work goes on and is reported when it is back', async () => {
    await fixture.start();
    const go = join(fixture.dir, 'go');
    const grant = await fixture.plane.grant({ work: proverWork({ do: 'wait-for', file: go, output: 'sealed' }), outputs: { sealed: 100 } });
    await eventually(() => fixture.plane.heartbeats.at(-1)?.attempts.length).toBe(1);
    await fixture.plane.unreachable();
    await writeFile(go, '');
    await eventually(() => fixture.log.filter(({ message }) => message.includes('did not answer')).length).toBeGreaterThan(2);
    await fixture.plane.listen();
    const report = await fixture.reported(grant.attempt);
    expect(report).toMatchObject({ outcome: 'done' });
    expect(await fixture.plane.output(report, 'sealed')).toHaveLength(10);
  });

  test('errors of the server are waited out', async () => {
    await fixture.start();
    fixture.plane.failWith = 503;
    const seen = fixture.log.length;
    await eventually(() => fixture.log.length).toBeGreaterThan(seen + 2);
    fixture.plane.failWith = undefined;
    const grant = await fixture.plane.grant({ work: proverWork({ do: 'copy' }) });
    expect(await fixture.reported(grant.attempt)).toMatchObject({ outcome: 'done' });
  });

  test('it waits for a control plane that is not there yet', async () => {
    await fixture.plane.unreachable();
    const starting = fixture.start();
    await eventually(() => fixture.log.some(({ message }) => message.startsWith('registering'))).toBe(true);
    await fixture.plane.listen();
    expect((await starting).runnerId).toMatch(/^r-/);
  });
});

describe('the end', () => {
  test('a stop ends the stage, reports it interrupted and takes nothing more', async () => {
    const agent = await fixture.start();
    const { attempt, pid } = await hanging();
    await agent.stop();
    expect(await isRunning(pid)).toBe(false);
    expect(fixture.plane.reportOf(attempt)).toMatchObject({ outcome: 'failed', code: 'interrupted' });
    expect(await readdir(fixture.dataDir)).toEqual(['artifacts', 'data.id', 'runner.json', 'work']);
  });

  test('a stop while a process ignores SIGTERM and the control plane is away still ends', async () => {
    const agent = await fixture.start();
    const { pid } = await hanging('stubborn');
    await fixture.plane.unreachable();
    await agent.stop();
    expect(await isRunning(pid)).toBe(false);
    await fixture.plane.listen();
  });

  test('what a killed agent left is cleared: its processes, its folders, its drafts in miner storage', async () => {
    const work = join(fixture.dataDir, 'work', 'a-crashed0');
    const draft = join(fixture.storage.path, '.s-t01000-7.a-crashed0.tmp');
    const kept = join(fixture.storage.path, 's-t01000-7');
    await mkdir(work, { recursive: true });
    await writeFile(join(work, 'storage-drafts.json'), JSON.stringify([draft]));
    for (const file of [draft, kept]) await writeFile(file, 'x');
    const orphan = spawn(STAGE_PROGRAM, ['run'], {
      cwd: work,
      env: { ...process.env, SEALPOOL_WORK: work },
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    const other = spawn(STAGE_PROGRAM, ['run'], {
      cwd: work,
      env: { ...process.env, SEALPOOL_WORK: join(fixture.dir, 'elsewhere') },
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    await Promise.all([orphan, other].map((child) => new Promise((resolve) => child.once('spawn', resolve))));
    await fixture.start();
    await eventually(() => isRunning(orphan.pid as number)).toBe(false);
    expect(await isRunning(other.pid as number)).toBe(true);
    other.kill('SIGKILL');
    expect(await readdir(join(fixture.dataDir, 'work'))).toEqual([]);
    expect(await readdir(fixture.storage.path)).toEqual(['s-t01000-7']);
    const grant = await fixture.plane.grant({ work: proverWork({ do: 'copy' }), inputs: { sealed: bytesOf('after', 10) } });
    expect(await fixture.reported(grant.attempt)).toMatchObject({ outcome: 'done' });
  });
});
