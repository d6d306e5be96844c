/** `sealpool events` and `--watch` against a real control plane that goes away and comes back. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test } from 'vitest';
import { EXIT, runCommand } from '../../src/cli/run.ts';
import { Daemon, ENTRY, cleanEnvironment } from '../e2e/processes.ts';

const NODE = ['--disable-warning=ExperimentalWarning', ENTRY];

let data: string;
let daemon: Daemon;
const watching: ChildProcess[] = [];

beforeAll(async () => {
  data = mkdtempSync(join(tmpdir(), 'sealpool-watch-'));
  const env = { SEALPOOL_CHAIN_URL: 'http://127.0.0.1:1/rpc/v1', SEALPOOL_WORKERS: '[{ name = "local", threads = 1 }]' };
  daemon = new Daemon(['serve', '--data', data], env, join(data, 'log'));
  await daemon.start();
}, 60_000);
afterEach(() => {
  for (const child of watching.splice(0)) child.kill('SIGKILL');
});
afterAll(async () => {
  await daemon.end('SIGTERM');
  rmSync(data, { recursive: true, force: true });
});

function sealpool(...args: string[]) {
  return spawnSync(process.execPath, [...NODE, ...args, '--data', data], { env: cleanEnvironment(), encoding: 'utf8', timeout: 30_000 });
}
const json = (...args: string[]) => JSON.parse(sealpool(...args, '--json').stdout);

/** A command that goes on. `until` resolves with all lines once one matches. */
function watch(...args: string[]) {
  const child = spawn(process.execPath, [...NODE, ...args, '--data', data], {
    env: cleanEnvironment(),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  watching.push(child);
  const printed = { stdout: '', stderr: '' };
  let look: () => void = () => undefined;
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.on('data', (bytes: Buffer) => {
      printed[name] += bytes.toString();
      look();
    });
  }
  const ended = new Promise<number | string | null>((resolve) =>
    child.once('close', () => {
      resolve(child.exitCode ?? child.signalCode);
      look();
    }),
  );
  const until = (pattern: RegExp, name: 'stdout' | 'stderr' = 'stdout') =>
    new Promise<string>((resolve, reject) => {
      look = () => {
        if (pattern.test(printed[name])) resolve(printed[name]);
        else if (child.exitCode !== null) reject(new Error(`it ended with ${child.exitCode}: ${printed.stdout}${printed.stderr}`));
      };
      look();
    });
  return { child, until, ended };
}

const pledge = (): string => json('sectors', 'pledge', '--miner', 't01000').items[0].id;

test('events are printed as lines or as JSON, with filters', { timeout: 60_000 }, () => {
  const job = pledge();
  const lines = sealpool('events', '--sector', job).stdout;
  expect(lines).toMatch(new RegExp(`^\\d+  ${job}  \\S+ \\S+  created`));
  const [created] = sealpool('events', '--sector', job, '--type', 'sector.created', '--json')
    .stdout.trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(created).toMatchObject({ job, kind: 'created' });
  expect(sealpool('events', '--sector', job, '--after', String(created.seq), '--json').stdout).not.toContain('"created"');
  expect(sealpool('events', '--type', 'sector.nothing')).toMatchObject({
    status: 2,
    stderr: expect.stringMatching(/there is no event type "sector.nothing"; types are sector.created, /),
  });
});

test('watched events survive the control plane, miss none, and end with 0 at SIGINT', { timeout: 90_000 }, async () => {
  const { child, until, ended } = watch('events', '--watch', '--type', 'sector.created', '--after', '0', '--json');
  const first = pledge();
  await until(new RegExp(first));
  await daemon.end('SIGKILL');
  await until(/the connection broke .* trying again in 0.3 s/, 'stderr');
  await daemon.start();
  const second = pledge();
  const lines = (await until(new RegExp(`${second}.*\n`))).trim().split('\n');
  expect(lines.map((line) => JSON.parse(line).seq)).toEqual(
    sealpool('events', '--type', 'sector.created', '--json')
      .stdout.trim()
      .split('\n')
      .map((line) => JSON.parse(line).seq),
  );
  child.kill('SIGINT');
  expect(await ended).toBe(0);
});

test.each([
  [['sectors', 'list'], /^sector +job +plan/],
  [['worker', 'list'], /^# +location/],
])('%j --watch prints what changes and ends with 0 at SIGINT', { timeout: 90_000 }, async (words, head) => {
  const { child, until, ended } = watch(...words, '--watch');
  await until(head);
  // All of them: which one the thread has is not told by their order.
  const live = (json('sectors', 'list').items as { id: string; state: string }[]).filter(({ state }) => state !== 'Aborted');
  for (const { id } of live) sealpool('sectors', 'abort', id);
  const next = pledge();
  const text = await until(words[0] === 'worker' ? /(Idle|local\/0.*\n.*local\/0)/ : new RegExp(next));
  // The head is printed again only where a column became wider or narrower.
  const heads = text.split('\n').filter((line) => head.test(line));
  expect(heads.filter((line, at) => line === heads[at - 1])).toEqual([]);
  child.kill('SIGINT');
  expect(await ended).toBe(0);
});

test('runners list --watch --json prints each answer on a line', { timeout: 90_000 }, async () => {
  const { child, until, ended } = watch('runners', 'list', '--watch', '--json');
  const [line = ''] = (await until(/\n/)).split('\n');
  expect(JSON.parse(line)).toEqual({ items: [] });
  child.kill('SIGTERM');
  expect(await ended).toBe(0);
});

test('a watched sector ends with 7 when it is aborted, and with 130 when somebody interrupts before', { timeout: 90_000 }, async () => {
  const job = pledge();
  const [waited, left] = [watch('sectors', 'show', job, '--watch'), watch('sectors', 'show', job, '--watch')];
  await Promise.all([waited.until(new RegExp(job)), left.until(new RegExp(job))]);
  sealpool('sectors', 'pause', job);
  await Promise.all([waited.until(/ {2}paused /), left.until(/ {2}paused /)]);
  left.child.kill('SIGINT');
  expect(await left.ended).toBe(130);
  sealpool('sectors', 'abort', job);
  expect(await waited.ended).toBe(7);
  await waited.until(new RegExp(`${job} ended in Aborted`), 'stderr');
  expect(sealpool('sectors', 'show', job, '--watch').status).toBe(7);
  expect(sealpool('sectors', 'show', job).status).toBe(0);
});

test.each([
  ['Finished', EXIT.done],
  ['Aborted', EXIT.aborted],
])('a sector that is or gets %s while it is watched ends with %i', async (end, code) => {
  const page = (state: string) =>
    JSON.stringify({ job: { id: 'j-000000000001', state }, events: [], attempts: [], artifacts: [], messages: [] });
  const stream = `data: ${JSON.stringify({ seq: 1, kind: 'transition', atMs: 0, actor: 'engine', to: end, detail: {} })}\n\n`;
  for (const before of ['Empty', end]) {
    const server = createServer((request, response) => {
      response.end(request.url?.startsWith('/v1/events') === true ? stream : page(before));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const quiet = { out: () => undefined, err: () => undefined };
    expect(await runCommand(['sectors', 'show', 'j-000000000001', '--watch', '--json'], () => ({ url, token: 'x' }), quiet)).toBe(code);
  }
});
