/** Stages in containers of an engine that goes away, comes back, hangs and refuses: none is left to itself, and nobody waits for ever. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type ContainerExecutorOptions, openContainerExecutor } from '../../src/runners/container-executor.ts';
import type { OpenExecutor, StageExit } from '../../src/runners/executor.ts';
import { readAnswer } from '../../src/runners/prover-answer.ts';
import { eventually } from './agent-fixture.ts';
import { FakeEngine } from './fake-engine.ts';

const ID = '00000000000000f1';
const PATIENCE = { awayMs: 60_000, killMs: 60_000, answerMs: 60_000 };

let engine: FakeEngine;
let folder = '';
let opened: OpenExecutor | undefined;
let ending: AbortController;
beforeEach(async () => {
  engine = new FakeEngine();
  ending = new AbortController();
  folder = await mkdtemp(join(tmpdir(), 'unsteady-'));
  await engine.listen(join(folder, 'engine.sock'));
});
afterEach(async () => {
  await opened?.close();
  await engine.close();
  await rm(folder, { recursive: true, force: true });
});

const open = async (patience: Partial<typeof PATIENCE> = {}, more: Partial<ContainerExecutorOptions> = {}): Promise<void> => {
  opened = await openContainerExecutor({
    id: ID,
    socketPath: join(folder, 'engine.sock'),
    image: engine.image,
    environment: {},
    graceMs: 100,
    limits: { processes: 100 },
    log: () => undefined,
    patience: { ...PATIENCE, ...patience },
    ...more,
  });
};

/** Begins a stage; answers once it is waited for. */
async function begin(): Promise<{ exit: Promise<StageExit> }> {
  const workDir = join(folder, 'work', 'a-1');
  await mkdir(workDir, { recursive: true });
  const run = { program: 'unused', args: [], workDir, request: '', signal: ending.signal, onLine: () => undefined };
  const exit = (opened as OpenExecutor).executor.run(run);
  exit.catch(() => undefined);
  await eventually(() => engine.container?.waiting.size).toBe(1);
  return { exit };
}

test.each(['', 'x'.repeat(3_000_000)])(
  'a stage that has answered and ended when its start is answered is heard, whatever it was to be told',
  async (request) => {
    engine.atStart = () => {
      engine.write('done');
      engine.end(0);
      engine.breakConnections();
    };
    await open();
    const workDir = join(folder, 'work', 'a-1');
    await mkdir(workDir, { recursive: true });
    const run = { program: 'unused', args: [], workDir, request, signal: ending.signal, onLine: () => undefined };
    expect(await (opened as OpenExecutor).executor.run(run)).toMatchObject({ code: 0, stdout: 'done' });
  },
);

const asked = (call: string): number => engine.calls.filter((one) => one === call).length;

describe('an engine that goes away', () => {
  test('and comes back: the stage goes on, and what it answers is heard', async () => {
    await open();
    const { exit } = await begin();
    let tries = 0;
    engine.fault = () => ((tries += 1) < 4 ? 'break' : undefined);
    engine.breakConnections();
    await eventually(() => engine.container?.waiting.size).toBe(1);
    engine.write('answer');
    engine.end(0);
    expect(await exit).toMatchObject({ code: 0, stdout: 'answer' });
    expect([engine.containers.size, asked('POST /containers/create')]).toEqual([0, 1]);
  });

  test('while the stage ends: its answer is lost, which is no fault of the program', async () => {
    await open();
    const { exit } = await begin();
    engine.fault = () => 'break';
    engine.breakConnections();
    engine.end(0);
    await eventually(() => engine.calls.at(-1)).toBe('GET /json');
    engine.fault = () => undefined;
    const ended = await exit;
    expect(() => readAnswer(ended, '')).toThrow(
      expect.objectContaining({ code: 'internal', message: expect.stringContaining('went away') }),
    );
  });

  test('for too long: the stage fails, and the container is removed once the engine is back', async () => {
    await open({ awayMs: 50 }, { sweepMs: 20 });
    const { exit } = await begin();
    engine.fault = () => 'break';
    engine.breakConnections();
    await expect(exit).rejects.toMatchObject({ code: 'internal', message: expect.stringContaining('did not answer for 0.05 s') });
    expect(engine.containers.size).toBe(1);
    engine.fault = () => undefined;
    await eventually(() => engine.containers.size).toBe(0);
  });

  test('while a container is made: what came of it is removed', async () => {
    await open({}, { sweepMs: 20 });
    engine.fault = (call) => {
      if (call !== 'POST /containers/create') return undefined;
      engine.make({ 'sealpool.data': ID, 'sealpool.attempt': 'a-1' });
      return 'break';
    };
    const workDir = join(folder, 'a-1');
    await mkdir(workDir);
    const run = { program: 'unused', args: [], workDir, request: '', signal: ending.signal, onLine: () => undefined };
    await expect((opened as OpenExecutor).executor.run(run)).rejects.toMatchObject({ code: 'internal' });
    await eventually(() => engine.containers.size).toBe(0);
  });

  test('the container of a stage that runs is not swept', async () => {
    await open({}, { sweepMs: 5 });
    const { exit } = await begin();
    const looks = asked('GET /containers/json');
    await eventually(() => asked('GET /containers/json')).toBeGreaterThan(looks + 3);
    engine.end(0);
    expect(await exit).toMatchObject({ code: 0 });
  });
});

describe('a cancel', () => {
  test('whose stop the engine did not take is said again', async () => {
    await open({}, { graceMs: 60_000 });
    const { exit } = await begin();
    engine.fault = (call) => (call === 'POST /stop' && asked(call) < 3 ? 500 : undefined);
    ending.abort();
    expect(await exit).toMatchObject({ signal: 'SIGTERM' });
    expect(asked('POST /kill')).toBe(0);
  });

  test('whose stop hangs becomes a kill, which is said again', async () => {
    await open();
    const { exit } = await begin();
    engine.fault = (call) => (call === 'POST /stop' ? 'hang' : call === 'POST /kill' && asked(call) < 2 ? 500 : undefined);
    ending.abort();
    expect(await exit).toMatchObject({ signal: 'SIGKILL' });
    expect([asked('POST /kill'), engine.containers.size]).toEqual([2, 0]);
  });

  test('that nothing obeys ends with a removal by force', async () => {
    await open({ killMs: 200 });
    const { exit } = await begin();
    engine.fault = (call) => (call === 'POST /stop' || call === 'POST /kill' ? 500 : undefined);
    ending.abort();
    await expect(exit).rejects.toMatchObject({ code: 'internal', message: expect.stringContaining('did not end the container') });
    expect([asked('DELETE '), engine.containers.size]).toEqual([1, 0]);
  });

  test('ends also where the engine hangs at everything', async () => {
    await open({ killMs: 100, answerMs: 100 });
    const { exit } = await begin();
    engine.fault = () => 'hang';
    ending.abort();
    await expect(exit).rejects.toMatchObject({ code: 'internal' });
    expect(asked('DELETE ')).toBe(1);
  });
});
