/**
 * What every executor promises, whatever it runs a stage with. Stages are shell scripts here: the same ones for
 * the shell of this machine and for the one in an image.
 */
import { execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { OpenExecutor, StageExit, StageRun } from '../../src/runners/executor.ts';
import type { StageLimits } from '../../src/runners/stage-limits.ts';
import { readAnswer } from '../../src/runners/prover-answer.ts';
import { clearLeftovers } from '../../src/runners/work-folders.ts';
import { canMount } from '../objects/local-server.ts';
import { type ExecutorWish, openWish } from './open-wish.ts';
import { runAsCrashingAgent, traces, uniqueSeconds } from './stage-traces.ts';

const LIMITS: StageLimits = { memoryBytes: 64 * 2 ** 20, processes: 40, workBytes: 16 * 2 ** 20 };
let marks = 0;

/**
 * Runs the suite on the executor that `wish` opens, which says of itself that it keeps stages from `contains`.
 * `lacking` is what it would keep them from on another machine: its tests are skipped here, by name.
 */
export function executorSuite(wish: (dataDir: string) => ExecutorWish, contains: readonly string[], lacking: readonly string[] = []): void {
  /** Registers a test of something that this executor keeps stages from. */
  const keeps = (what: string, name: string, body: () => Promise<void>): void => {
    for (const one of [...contains, ...lacking].filter((one) => one === what)) test.runIf(contains.includes(one))(name, body);
  };
  let dataDir = '';
  let opened: OpenExecutor | undefined;
  const open = async (limits: StageLimits = { processes: 1000 }): Promise<OpenExecutor> =>
    (opened = await openWish({ ...wish(dataDir), limits }));

  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'executor-'));
    await mkdir(join(dataDir, 'work'));
    // Only the folder itself is named to others.
    await chmod(dataDir, 0o711);
  });
  afterEach(async () => {
    await opened?.close();
    await rm(dataDir, { recursive: true, force: true });
  });

  /** Runs a script; `lines` are those of its stderr. */
  const run = async (script: string, more: Partial<StageRun> & { limits?: StageLimits; executor?: OpenExecutor } = {}) => {
    const { executor } = more.executor ?? (await open(more.limits));
    const workDir = join(dataDir, 'work', `a-${(marks += 1)}`);
    await mkdir(join(workDir, 'out'), { recursive: true });
    const lines: string[] = [];
    const exit = await executor.run({
      program: '/bin/sh',
      // As the prover does: whoever waits for its request is attached by then, so that nothing it answers is missed.
      args: ['-c', more.request === undefined ? `cat >/dev/null\n${script}` : script],
      workDir,
      request: '',
      signal: new AbortController().signal,
      onLine: (line) => lines.push(line),
      ...more,
    });
    return { exit, lines, workDir };
  };
  /** What the agent would report. */
  const failure = ({ exit, lines }: { exit: StageExit; lines: readonly string[] }): unknown => {
    try {
      return readAnswer(exit, lines.slice(-5).join('\n'));
    } catch (error) {
      return error;
    }
  };

  describe('a stage', () => {
    test('reads its request, answers on stdout, says lines on stderr, and ends with its code', async () => {
      const { exit, lines } = await run('cat; echo one >&2; printf two >&2; echo >&2; exit 3', { request: 'the request\n' });
      expect(exit).toMatchObject({ code: 3, signal: null, stdout: 'the request\n', cause: undefined });
      expect(lines).toEqual(['one', 'two']);
    });

    test('may be told and answer megabytes', async () => {
      const request = 'été '.repeat(500_000);
      const { exit } = await run('cat', { request });
      expect(exit.stdout === request).toBe(true);
    });

    test('need not read its request', async () => {
      const { exit } = await run('echo done', { request: 'x'.repeat(3_000_000) });
      expect(exit).toMatchObject({ code: 0, stdout: 'done\n' });
    });

    test('is ended when it answers without end', async () => {
      const { exit } = await run('cat /dev/zero');
      expect(exit.stdout).toBeNull();
    });

    test('works in its folder, and what it writes there is there', async () => {
      const { exit, workDir } = await run('echo made >out/file; cd out && cat file');
      expect(exit).toMatchObject({ code: 0, stdout: 'made\n' });
      expect(await readFile(join(workDir, 'out/file'), 'utf8')).toBe('made\n');
    });

    test('that a signal ended is told of by the signal', async () => {
      const { exit } = await run("sh -c 'kill -SEGV $$'; exit $?");
      expect(exit).toMatchObject({ code: null, signal: 'SIGSEGV' });
    });

    test('runs beside another one', async () => {
      const executor = await open();
      const script = 'echo here >out/here; read line; echo "$line"';
      const both = await Promise.all(['one', 'two'].map((request) => run(script, { request: `${request}\n`, executor })));
      expect(both.map(({ exit }) => exit.stdout)).toEqual(['one\n', 'two\n']);
    });
  });

  describe('a stage that is stopped', () => {
    const stopOnceReady = async (script: string): Promise<Awaited<ReturnType<typeof run>>> => {
      const stop = new AbortController();
      return run(script, { signal: stop.signal, onLine: (line) => line === 'ready' && stop.abort() });
    };

    test('is asked to end first', async () => {
      const { exit } = await stopOnceReady("trap 'echo asked; exit 9' TERM; echo ready >&2; while :; do sleep 0.05; done");
      expect(exit).toMatchObject({ code: 9, stdout: 'asked\n' });
    });

    test('is killed when it does not listen', async () => {
      const { exit } = await stopOnceReady("trap '' TERM; echo ready >&2; while :; do sleep 0.05; done");
      expect(exit).toMatchObject({ code: null, signal: 'SIGKILL' });
    });

    test('before it began does not begin', async () => {
      await expect(run('echo no >out/file', { signal: AbortSignal.abort(new Error('not now')) })).rejects.toThrow('not now');
    });
  });

  describe('nothing of a stage is left', () => {
    /** Twice forked, in a session of its own, with nothing in its environment, its pipes closed. */
    const daemon = (seconds: string): string =>
      `(setsid env -i /bin/sh -c 'echo up >out/up; cd /; exec /bin/sleep ${seconds}' </dev/null >/dev/null 2>&1 &) & while [ ! -e out/up ]; do sleep 0.02; done;`;

    keeps('daemons', 'when it has ended: not what daemonised and cleared its environment', async () => {
      const seconds = uniqueSeconds();
      const { exit } = await run(`${daemon(seconds)} echo done`);
      expect(exit).toMatchObject({ code: 0, stdout: 'done\n' });
      expect(await traces(seconds)).toEqual([]);
    });

    keeps('daemons', 'when it was stopped', async () => {
      const seconds = uniqueSeconds();
      const stop = new AbortController();
      await run(`${daemon(seconds)} trap '' TERM; echo ready >&2; while :; do sleep 0.05; done`, {
        signal: stop.signal,
        onLine: () => stop.abort(),
      });
      expect(await traces(seconds)).toEqual([]);
    });

    test('of one whose agent was killed, once the next agent has started', async () => {
      const seconds = uniqueSeconds();
      const script = `${contains.includes('daemons') ? daemon(seconds) : ''} echo ready >&2; exec sleep ${seconds}`;
      const agent = await runAsCrashingAgent({ ...wish(dataDir), limits: { processes: 1000 } }, join(dataDir, 'work/a-crashed'), script);
      await agent.kill();
      expect((await traces(seconds)).length).toBeGreaterThan(0);
      await open();
      await clearLeftovers(dataDir, () => undefined);
      expect(await traces(seconds)).toEqual([]);
      expect(await readdir(join(dataDir, 'work'))).toEqual([]);
    });
  });

  describe('a stage that wants more than it may have dies alone', () => {
    test('memory', async () => {
      const found = failure(await run('dd if=/dev/zero of=/dev/null bs=300M count=1; exit $?', { limits: LIMITS }));
      expect(found).toMatchObject({ code: 'out_of_memory', message: expect.stringContaining('memory') });
    });

    keeps('processes', 'processes: it forks without end', async () => {
      const bomb = 'trap "" TERM; b() { b | b & b; }; (while :; do sleep 100 & done) 2>/dev/null & b 2>/dev/null & exec sleep 100';
      const found = failure(await run(bomb, { limits: LIMITS }));
      expect(found).toMatchObject({ code: 'too_many_processes', message: expect.stringContaining('more than its 40 processes') });
    });

    test('its work folder, by one file', async () => {
      const found = failure(await run('cat /dev/zero >out/large; exit $?', { limits: LIMITS }));
      expect(found).toMatchObject({ code: 'out_of_disk' });
    });

    test('its work folder, by many files', async () => {
      const found = failure(await run('n=0; while :; do head -c 1000000 /dev/zero >out/$n; n=$((n+1)); done', { limits: LIMITS }));
      expect(found).toMatchObject({ code: 'out_of_disk', message: expect.stringContaining('16777216 bytes') });
    });
  });

  describe('a stage is kept from', () => {
    test('what it is said to be kept from', async () => {
      const { isolation } = await open(LIMITS);
      expect(isolation.contains.toSorted()).toEqual(contains.toSorted());
    });

    keeps('network', 'the network', async () => {
      const { exit } = await run('cat /proc/net/dev');
      const interfaces = exit.stdout?.split('\n').filter((line) => line.includes(':')) ?? [];
      expect(interfaces.map((line) => line.split(':')[0]?.trim())).toEqual(['lo']);
    });

    keeps('capabilities', 'every capability', async () => {
      const { exit } = await run('grep -E "^(Cap|NoNewPrivs)" /proc/self/status');
      const found = Object.fromEntries(
        (exit.stdout ?? '')
          .trim()
          .split('\n')
          .map((line) => line.split(/:\s+/)),
      );
      const none = '0000000000000000';
      // Only root can take away what a program could get back; without new privileges none can.
      const bounding = process.getuid?.() === 0 ? { CapBnd: none } : {};
      expect(found).toMatchObject({ CapInh: none, CapPrm: none, CapEff: none, CapAmb: none, NoNewPrivs: '1', ...bounding });
    });

    keeps('user', "the agent's credential, environment and processes", async () => {
      await writeFile(join(dataDir, 'runner.json'), 'canary', { mode: 0o600 });
      const tries = [
        `cat ${dataDir}/runner.json`,
        'cat ../../runner.json',
        `cat /proc/${process.pid}/environ`,
        `kill -0 ${process.pid}`,
        `ls ${dataDir}`,
      ];
      const { exit } = await run(tries.map((attempt) => `${attempt} && echo REACHED`).join('\n'));
      expect(exit.stdout).toBe('');
    });

    keeps('root', 'writing anywhere but to its folder and /tmp', async () => {
      const places = ['/x', '/bin/x', '/etc/x', '/cache/x', '/sys/x', '/tmp/x', '/work/x'];
      const { exit } = await run(places.map((place) => `(echo >${place}) 2>/dev/null && echo ${place}`).join('\n'));
      expect(exit.stdout).toBe('/tmp/x\n/work/x\n');
      const mounts = await run('grep " / " /proc/self/mounts');
      expect(mounts.exit.stdout).toMatch(/^\S+ \/ \S+ ro,/);
    });
  });

  test.skipIf(!canMount)('a disk that is full ends the stage alone, and its folder goes', async () => {
    const disk = join(dataDir, 'work');
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'none', disk]);
    try {
      const found = failure(await run('cat /dev/zero >out/large; exit $?'));
      expect(found).toMatchObject({ code: 'out_of_disk', message: expect.stringContaining('is full') });
      await clearLeftovers(dataDir, () => undefined);
      expect(await readdir(disk)).toEqual([]);
    } finally {
      execFileSync('umount', ['--lazy', disk]);
    }
  });
}
