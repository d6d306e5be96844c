/** Who keeps an agent running: what ends of it are followed by another start, and with which exit code an agent ends. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { lockData } from '../../src/runners/data-lock.ts';

const MOST_MS = 30_000;
/** Ends as ENDS says of its start: with a code, a signal, or never by itself. */
const AGENT = `
import { appendFileSync, readFileSync } from 'node:fs';
const { STARTS, ENDS, SEALPOOL_RUNNER_UPGRADES } = process.env;
const before = readFileSync(STARTS, 'utf8').split('\\n').length - 1;
process.on('SIGTERM', () => process.exit(0));
appendFileSync(STARTS, Date.now() + ' ' + SEALPOOL_RUNNER_UPGRADES + '\\n');
const end = ENDS.split(' ')[before];
if (end === 'never') setInterval(() => undefined, 1_000);
else if (end.startsWith('SIG')) process.kill(process.pid, end);
else process.exit(Number(end));
`;

let folder: string;
let agent: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'launch-'));
  agent = join(folder, 'agent.mjs');
  writeFileSync(agent, AGENT);
  writeFileSync(join(folder, 'starts'), '');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Starts it with nothing in its environment but this. */
function begin(
  args: readonly string[],
  env: Record<string, string>,
): { child: ChildProcess; ended: Promise<number | null>; said: () => string } {
  const given = { PATH: process.env['PATH'], SEALPOOL_URL: 'http://127.0.0.1:9', SEALPOOL_DATA: folder, SEALPOOL_PORT: '0', ...env };
  const child = spawn(process.execPath, args, { env: given, stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', (more: string) => (text += more));
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  onTestFinished(() => void child.kill('SIGKILL'));
  return { child, ended, said: () => text };
}

const launched = (ends: string, env: Record<string, string> = {}) =>
  begin([join(import.meta.dirname, 'launching.ts'), agent], { STARTS: join(folder, 'starts'), ENDS: ends, ...env });

/** When each start was, and what it was told of upgrades. */
const starts = () =>
  readFileSync(join(folder, 'starts'), 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => line.split(' '));
const gaps = () =>
  starts()
    .map(([at], n, all) => Number(at) - Number(all[n - 1]?.[0] ?? at))
    .slice(1);

test('one that crashed is started again, later each time; an end in order is passed on', { timeout: MOST_MS }, async () => {
  const { ended, said } = launched('1 SIGKILL 0');
  expect(await ended).toBe(0);
  expect(starts()).toHaveLength(3);
  const [first = 0, second = 0] = gaps();
  expect([first > 450, second > 950]).toEqual([true, true]);
  expect(said()).toMatch(/"code":137.*it is started again/);
});

test.each([77, 78])('exit code %d is passed on: a start would not mend that', { timeout: MOST_MS }, async (code) => {
  expect(await launched(`${code}`).ended).toBe(code);
  expect(starts()).toHaveLength(1);
});

test('asked to end, it has its agent end, and starts none after it', { timeout: MOST_MS }, async () => {
  for (const ends of ['never', '1 1 1 never']) {
    writeFileSync(join(folder, 'starts'), '');
    const { child, ended } = launched(ends);
    const before = ends.split(' ').length;
    await vi.waitFor(() => expect(starts().length).toBeGreaterThanOrEqual(Math.min(before, 2)), { timeout: MOST_MS });
    child.kill('SIGTERM');
    expect([0, 1]).toContain(await ended);
    expect(starts().length).toBeLessThan(4);
  }
});

test.each([
  [{}, 'all'],
  [{ SEALPOOL_PROVER: '/my/prover' }, 'agent'],
  [{ SEALPOOL_RUNNER_UPGRADES: 'none' }, 'none'],
  [{ SEALPOOL_RUNNER_UPGRADES: 'agent' }, 'agent'],
])('with %j its agent takes upgrades of: %s', { timeout: MOST_MS }, async (env: Record<string, string>, upgrades) => {
  expect(await launched('0', env).ended).toBe(0);
  expect(starts()).toMatchObject([[expect.anything(), upgrades]]);
});

/** Answers every request so; its URL. */
async function answering(answer: (path: string) => { status: number; body: string | Buffer }): Promise<string> {
  const server = createServer((request, response) => {
    const { status, body } = answer(request.url ?? '');
    response.writeHead(status, { 'content-type': status < 400 ? 'application/json' : 'application/problem+json' }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => server.closeAllConnections());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('an upgrade that leaves all as it was is tried later each time', { timeout: MOST_MS }, async () => {
  const bytes = Buffer.from(AGENT);
  const hash = createHash('sha256').update(bytes).digest('hex');
  const file = { hash: `sha256:${hash}`, sizeBytes: bytes.length };
  const offer = JSON.stringify({ version: '1', arch: process.arch, agent: file, prover: file, image: null });
  const url = await answering((path) => ({ status: 200, body: path === '/runner/files' ? offer : bytes }));
  expect(await launched('6 6 6 0', { SEALPOOL_URL: url }).ended).toBe(0);
  const [, second = 0, third = 0] = gaps();
  expect([second > 950, third > 1_950]).toEqual([true, true]);
});

/** The agent itself. */
const runs = (env: Record<string, string>) =>
  begin([join(import.meta.dirname, '../../src/main/agent-bundle.ts')], { SEALPOOL_PROVER: '/bin/true', ...env });

const refusing = () =>
  answering(() => ({
    status: 401,
    body: JSON.stringify({
      type: 'about:blank',
      title: 'Unauthorized',
      status: 401,
      code: 'unauthorized',
      detail: 'this credential is unknown; join anew',
    }),
  }));

test('an agent whose join token or credential is refused ends with 77', { timeout: MOST_MS }, async () => {
  const url = await refusing();
  const joins = runs({ SEALPOOL_URL: url, SEALPOOL_RUNNER_JOIN_TOKEN: 'sp-join-used' });
  expect([await joins.ended, joins.said()]).toEqual([77, expect.stringContaining('this credential is unknown')]);
  const identity = { runnerId: 'r-00000001', credential: 'sp-run-banned', heartbeatMs: 100, leaseMs: 1_000, pollMs: 100 };
  writeFileSync(join(folder, 'runner.json'), JSON.stringify(identity));
  const goesOn = runs({ SEALPOOL_URL: url });
  expect([await goesOn.ended, goesOn.said()]).toEqual([77, expect.stringContaining('start it with a new join token')]);
});

test('an agent that has something to be mended ends with 78, and says what', { timeout: MOST_MS }, async () => {
  const none = runs({});
  expect([await none.ended, none.said()]).toEqual([78, expect.stringContaining('no join token')]);
  const typed = runs({ SEALPOOL_RUNNER_SLOTS: 'many' });
  expect([await typed.ended, typed.said()]).toEqual([78, expect.stringContaining('SEALPOOL_RUNNER_SLOTS')]);
  const unlock = await lockData(folder);
  const second = runs({ SEALPOOL_RUNNER_JOIN_TOKEN: 'sp-join-new' });
  expect([await second.ended, second.said()]).toEqual([78, expect.stringContaining('is in use by the runner')]);
  await unlock();
});
