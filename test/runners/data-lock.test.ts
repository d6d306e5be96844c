/** Who has DATA: one agent at a time, wherever it runs; none that has died. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { lockData } from '../../src/runners/data-lock.ts';
import { eventually } from './agent-fixture.ts';

const LOCK = join(import.meta.dirname, '../../src/runners/data-lock.ts');
/** What a container is to us: process ids and a network of its own. */
const CONTAINER = ['unshare', '--pid', '--net', '--fork', '--kill-child', '--mount-proc'];
const HAS_CONTAINER = spawnSync(CONTAINER[0] as string, [...CONTAINER.slice(1), 'true']).status === 0;

let dir: string;
const holders: ChildProcess[] = [];
beforeEach(() => void (dir = mkdtempSync(join(tmpdir(), 'data-lock-'))));
afterEach(async () => {
  for (const holder of holders.splice(0)) await end(holder);
  rmSync(dir, { recursive: true });
});

/** A process that has taken it. */
async function holding(within: readonly string[] = []): Promise<ChildProcess> {
  const script = `import(${JSON.stringify(LOCK)}).then(({ lockData }) => lockData(${JSON.stringify(dir)})).then(() => console.log('taken'));
    setInterval(() => undefined, 60_000);`;
  const [program = '', ...args] = [...within, process.execPath, '--disable-warning=ExperimentalWarning', '-e', script];
  const holder = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  holders.push(holder);
  const [said] = await once(holder.stdout as NodeJS.ReadableStream, 'data');
  expect(String(said)).toBe('taken\n');
  return holder;
}

async function end(holder: ChildProcess): Promise<void> {
  if (holder.exitCode !== null || holder.signalCode !== null) return;
  const ended = once(holder, 'exit');
  holder.kill('SIGKILL');
  await ended;
}

test('a second agent is refused and told who has it; what a killed one left is taken', async () => {
  const holder = await holding();
  await expect(lockData(dir)).rejects.toThrow(`${dir} is in use by the runner with process id ${holder.pid} `);
  await end(holder);
  const unlock = await lockData(dir);
  await expect(lockData(dir)).rejects.toThrow(`process id ${process.pid} `);
  await unlock();
  expect(readdirSync(dir)).toEqual([]);
});

test.runIf(HAS_CONTAINER)('an agent of another container, whose process ids are no ids here, is found as well', async () => {
  const holder = await holding(CONTAINER);
  await expect(lockData(dir)).rejects.toThrow('is in use by the runner with process id 1 ');
  await end(holder);
  // The kernel ends what is in it a moment after it.
  const taken = async () => (await lockData(dir))().then(() => 'taken');
  await eventually(() => taken().catch(String)).toBe('taken');
});

test('of those that come at once after one has died never two get it, and nothing is left of those that did not', async () => {
  for (let round = 0; round < 20; round++) {
    await writeFile(join(dir, 'runner-00000000.sock'), '');
    const asked = await Promise.allSettled(Array.from({ length: 1 + (round % 4) }, () => lockData(dir)));
    const taken = asked.filter((one) => one.status === 'fulfilled');
    expect(taken.length).toBeLessThanOrEqual(1);
    if (asked.length === 1) expect(taken).toHaveLength(1);
    for (const { value: unlock } of taken) await unlock();
    await rm(join(dir, 'runner-00000000.sock'), { force: true });
    expect(await readdir(dir)).toEqual([]);
  }
});

test('a path that is too long for a socket is none for DATA', async () => {
  const long = join(dir, ...Array.from({ length: 4 }, () => 'folder'.repeat(10)));
  mkdirSync(long, { recursive: true });
  const unlock = await lockData(long);
  expect(readdirSync(long)).toEqual([expect.stringMatching(/^runner-[0-9a-f]{8}\.sock$/)]);
  await expect(lockData(long)).rejects.toThrow(`process id ${process.pid} `);
  await unlock();
  expect(readdirSync(long)).toEqual([]);
});
