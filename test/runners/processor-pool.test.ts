/** Processors as processes: ready line, requests side by side, locks, deadlines, death, and what they see. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ProcessorPool } from '../../src/runners/processors/pool.ts';
import { Processors } from '../../src/schema/processor.ts';
import { eventually, isRunning } from './agent-fixture.ts';

const SCRIPT = join(import.meta.dirname, 'foreign-processor.ts');
let dir: string;
let record: string;
let log: string[] = [];
const pools: ProcessorPool[] = [];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'processors-'));
  record = join(dir, 'record');
  writeFileSync(record, '');
  log = [];
});
afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.stop()));
  rmSync(dir, { recursive: true });
});

const foreign = (stage: string, more: object = {}): object => ({
  bin: process.execPath,
  args: ['--disable-warning=ExperimentalWarning', SCRIPT, stage, record],
  stable_wait: '60s',
  ...more,
});

function start(table: object, labels: string[] = [], environment: Record<string, string | undefined> = process.env): ProcessorPool {
  const options = { dataDir: dir, prover: '/nowhere/prover', environment, graceMs: 200 };
  const pool = new ProcessorPool(Processors.parse(table), labels, { ...options, log: (_level, message) => log.push(message) });
  pools.push(pool);
  return pool;
}

const ask = (pool: ProcessorPool, stage: 'c2' | 'pc2', task: object, signal = new AbortController().signal): Promise<unknown> =>
  pool.run({ stage, task: JSON.stringify(task), signal, onLine: () => undefined });
const hold = (name: string): object => ({ do: 'hold', until: join(dir, name), name });
const release = (name: string): void => writeFileSync(join(dir, name), '');
const lines = (): string[] => readFileSync(record, 'utf8').trim().split('\n');
const begun = (): string[] => lines().flatMap((line) => (line.startsWith('begin ') ? [line.slice(6)] : []));

test('answers find their requests, in whatever order they come', async () => {
  const pool = start({ c2: [foreign('c2')] });
  const answers = ['a', 'b', 'c'].map((name) => ask(pool, 'c2', hold(name)));
  await eventually(begun).toEqual(['a', 'b', 'c']);
  for (const [at, name] of [...['a', 'b', 'c'].entries()].reverse()) {
    release(name);
    expect(await answers[at]).toEqual({ echo: hold(name) });
  }
});

test('what it refuses fails alone, with its words; what it prints besides is no answer', async () => {
  const pool = start({ c2: [foreign('c2')] });
  const held = ask(pool, 'c2', hold('a'));
  await expect(ask(pool, 'c2', { do: 'refuse' })).rejects.toMatchObject({ code: 'internal', message: 'c2 processor 1 refused: not today' });
  expect(await ask(pool, 'c2', { do: 'stray' })).toEqual({ echo: { do: 'stray' } });
  release('a');
  expect(await held).toEqual({ echo: hold('a') });
});

test('no more requests at a time than it may have', async () => {
  const pool = start({ c2: [foreign('c2', { concurrent: 2 })] });
  const answers = ['a', 'b', 'c', 'd'].map((name) => ask(pool, 'c2', hold(name)));
  await eventually(begun).toEqual(['a', 'b']);
  for (const name of ['a', 'b', 'c', 'd']) release(name);
  await Promise.all(answers);
  let [running, most] = [0, 0];
  for (const line of lines()) most = Math.max(most, (running += line.startsWith('begin') ? 1 : -1));
  expect(most).toBe(2);
});

test('a lock keeps apart what shares it, and lets in who asked first', async () => {
  const pool = start({
    ext_locks: { gpu: 1 },
    c2: [foreign('c2', { locks: ['gpu'] })],
    pc2: [foreign('pc2', { locks: ['gpu'] })],
  });
  // Both are ready: one that still starts lets others go first.
  for (const stage of ['c2', 'pc2'] as const) await ask(pool, stage, { do: 'echo' });
  const order = [['c2', 'a'] as const, ['pc2', 'b'] as const, ['c2', 'c'] as const];
  const first = ask(pool, 'c2', hold('a'));
  await eventually(begun).toContain('a');
  const others = order.slice(1).map(([stage, name]) => ask(pool, stage, hold(name)));
  for (const name of ['a', 'b', 'c']) release(name);
  await Promise.all([first, ...others]);
  expect(lines().filter((line) => / [abc]$/.test(line))).toEqual(order.flatMap(([, name]) => [`begin ${name}`, `end ${name}`]));
});

test('one that dies fails all its requests at once, by its last words, and is started again', async () => {
  const pool = start({ c2: [foreign('c2')], pc2: [foreign('pc2')] });
  const elsewhere = ask(pool, 'pc2', hold('other'));
  const held = ['a', 'b', 'c'].map((name) => ask(pool, 'c2', hold(name)));
  const failed = Promise.allSettled(held);
  await eventually(begun).toHaveLength(4);
  const died = ask(pool, 'c2', { do: 'die' });
  await expect(died).rejects.toMatchObject({
    code: 'internal',
    message: expect.stringMatching(/ended with SIGSEGV.*all its requests failed.*out of luck/),
  });
  for (const { status, ...rest } of await failed)
    expect([status, rest]).toEqual(['rejected', { reason: await died.catch((error: unknown) => error) }]);
  expect(await ask(pool, 'c2', { do: 'echo' })).toEqual({ echo: { do: 'echo' } });
  release('other');
  expect(await elsewhere).toEqual({ echo: hold('other') });
});

test('one that hangs is ended by its deadline, with all that it started', async () => {
  const pool = start({ c2: [foreign('c2', { deadline_ms: 500 })] });
  const pidFile = join(dir, 'pids');
  await expect(ask(pool, 'c2', { do: 'hang', pidFile })).rejects.toMatchObject({
    code: 'internal',
    message: expect.stringContaining('did not answer within 0.5 s'),
  });
  for (const pid of readFileSync(pidFile, 'utf8').split(' ')) await eventually(() => isRunning(Number(pid))).toBe(false);
  expect(await ask(pool, 'c2', { do: 'echo' })).toEqual({ echo: { do: 'echo' } });
});

test('a request that is taken back ends it when nobody else waits for it, and costs nobody else', async () => {
  const pool = start({ c2: [foreign('c2', { concurrent: 2 })] });
  const [one, two] = [new AbortController(), new AbortController()];
  const first = ask(pool, 'c2', hold('a'), one.signal);
  const second = ask(pool, 'c2', hold('b'), two.signal);
  await eventually(begun).toHaveLength(2);
  one.abort(new Error('taken back'));
  await expect(first).rejects.toThrow('taken back');
  release('b');
  expect(await second).toEqual({ echo: hold('b') });
  const third = ask(pool, 'c2', hold('c'), two.signal);
  await eventually(begun).toHaveLength(3);
  two.abort(new Error('this one too'));
  await expect(third).rejects.toThrow('this one too');
  expect(await ask(pool, 'c2', { do: 'echo' })).toEqual({ echo: { do: 'echo' } });
});

test('a request that was taken back ends it as soon as the others are answered', async () => {
  const pool = start({ c2: [foreign('c2', { concurrent: 2 })] });
  const pidFile = join(dir, 'pids');
  const gone = new AbortController();
  const first = ask(pool, 'c2', { do: 'hang', pidFile }, gone.signal);
  const second = ask(pool, 'c2', hold('b'));
  await eventually(begun).toHaveLength(2);
  gone.abort(new Error('taken back'));
  await expect(first).rejects.toThrow('taken back');
  const pids = readFileSync(pidFile, 'utf8').split(' ').map(Number);
  expect(pids.every(isRunning)).toBe(true);
  release('b');
  expect(await second).toEqual({ echo: hold('b') });
  for (const pid of pids) await eventually(() => isRunning(pid)).toBe(false);
  expect(await ask(pool, 'c2', { do: 'echo' })).toEqual({ echo: { do: 'echo' } });
});

test('one that cannot be started fails nothing that another one takes, which is still starting', async () => {
  const pool = start({ c2: [foreign('c2'), foreign('c2', { bin: '/nowhere/program' })] });
  const asked = ask(pool, 'c2', { do: 'echo' });
  await eventually(() => log.filter((line) => line.includes('cannot be started')).length).toBeGreaterThan(1);
  expect(await asked).toEqual({ echo: { do: 'echo' } });
});

test.each([
  ['is not there', { bin: '/nowhere/program' }, /cannot be started \(ENOENT\)/],
  ['ends at once', { bin: '/bin/sh', args: ['-c', 'echo no licence >&2; exit 3'] }, /ended with code 3 before it was ready.*no licence/],
  ['never says that it is ready', { envs: { FOREIGN_MUTE: '1' }, stable_wait: 300 }, /did not say within 0.3 s/],
  ['may not be started again', { bin: '/bin/false', args: [], auto_restart: false }, /auto_restart is off|runs any more/],
])('one that %s fails its requests with the reason', async (_what, spec, reason) => {
  const pool = start({ c2: [foreign('c2', spec)] });
  await expect(ask(pool, 'c2', {})).rejects.toMatchObject({ code: 'program_missing', message: expect.stringMatching(reason) });
});

test('it sees its settings and no secret of the agent, in a folder of its own, on its cores', async () => {
  const environment = {
    ...process.env,
    SEALPOOL_RUNNER_JOIN_TOKEN: 'secret',
    AWS_SECRET_ACCESS_KEY: 'secret',
    FIL_PROOFS_PARENT_CACHE: '/parents',
  };
  const table = {
    c2: [foreign('c2', { envs: { RUST_LOG: 'info' }, cgroup: { cpuset: '1' } })],
    pc2: [foreign('pc2', { inherit_envs: false })],
  };
  const pool = start(table, [], environment);
  const seen = (await ask(pool, 'c2', { do: 'environment' })) as { environment: Record<string, string>; cwd: string };
  expect(
    Object.keys(seen.environment)
      .filter((name) => !['HOME', 'XDG_CACHE_HOME'].includes(name))
      .sort(),
  ).toEqual(['FIL_PROOFS_PARENT_CACHE', 'PATH', 'RUST_LOG', 'SEALPOOL_WORK']);
  expect(seen.cwd).toBe(join(dir, 'work/processor-c2-1'));
  const { environment: bare } = (await ask(pool, 'pc2', { do: 'environment' })) as typeof seen;
  expect(Object.keys(bare)).toEqual(['SEALPOOL_WORK']);
  const pidFile = join(dir, 'pids');
  void ask(pool, 'c2', { do: 'hang', pidFile }).catch(() => undefined);
  await eventually(() => readFileSync(pidFile, 'utf8')).toMatch(/^[0-9]+ /);
  const [pid] = readFileSync(pidFile, 'utf8').split(' ');
  expect(readFileSync(`/proc/${pid}/status`, 'utf8')).toMatch(/^Cpus_allowed_list:\t1$/m);
});

test('entries with a label are for runners that have it', () => {
  const table = { c2: [foreign('c2', { label: 'gpu-a' })], pc2: [foreign('pc2')] };
  expect(['c2', 'pc2'].map((stage) => start(table, ['gpu-a', 'x']).has(stage as 'c2'))).toEqual([true, true]);
  expect(['c2', 'pc2'].map((stage) => start(table, ['gpu-b']).has(stage as 'c2'))).toEqual([false, true]);
});

test.each([
  [{ c2: [{ locks: ['gpu'] }] }, /there is no lock/],
  [{ snap_encode: [{}] }, /leave it to the prover/],
  [{ c2: [{ cgroup: { cpuset: '0-3; rm' } }] }, /cores are written/],
  [{ c2: [{ stable_wait: 'soon' }] }, /a time is written/],
  [{ c3: [{}] }, /c3/],
])('a table that cannot be meant is refused: %j', (table, reason) => {
  expect(() => Processors.parse(table)).toThrow(reason);
});
