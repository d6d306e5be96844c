/** An agent and a control plane per test; everything is ended and removed after it. */
import { mkdir, mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect } from 'vitest';
import { type Agent, runAgent } from '../../src/runners/agent.ts';
import type { AgentOptions } from '../../src/runners/options.ts';
import type { Report } from '../../src/schema/runner.ts';
import type { ProverWork } from '../../src/schema/stage.ts';
import type { z } from 'zod';
import { TestControlPlane } from './control-plane.ts';

export const STAGE_PROGRAM = join(import.meta.dirname, 'stage-program.mjs');

export type Fixture = {
  plane: TestControlPlane;
  dir: string;
  dataDir: string;
  storage: { id: string; path: string };
  log: { level: string; message: string; fields?: Record<string, unknown> | undefined }[];
  start(options?: Partial<AgentOptions>): Promise<Agent>;
  reported(attempt: string): Promise<Report>;
};

/** `expect.poll` with a time limit that a busy machine keeps as well. */
export const eventually = <T>(read: () => T | Promise<T>) => polled(read, { timeout: 15_000, interval: 10 });
const polled = expect.poll;

/** Registers hooks; read the answer's fields inside tests only. */
export function useAgent(): Fixture {
  const agents: Agent[] = [];
  const fixture: Fixture = {
    plane: undefined as unknown as TestControlPlane,
    dir: '',
    dataDir: '',
    storage: { id: 'main', path: '' },
    log: [],
    start: async (options = {}) => {
      const agent = await runAgent({
        url: fixture.plane.url,
        joinToken: fixture.plane.newToken(),
        dataDir: fixture.dataDir,
        prover: STAGE_PROGRAM,
        storage: [fixture.storage],
        name: 'test',
        patienceMs: 2_000,
        graceMs: 200,
        environment: process.env,
        log: (level, message, fields) => fixture.log.push({ level, message, fields }),
        ...options,
      });
      agents.push(agent);
      return agent;
    },
    reported: async (attempt) => {
      await eventually(() => fixture.plane.reportOf(attempt)).toBeDefined();
      return fixture.plane.reportOf(attempt) as Report;
    },
  };
  beforeEach(async () => {
    fixture.plane = await TestControlPlane.start();
    fixture.dir = await mkdtemp(join(tmpdir(), 'agent-'));
    fixture.dataDir = join(fixture.dir, 'data');
    fixture.storage = { id: 'main', path: join(fixture.dir, 'storage') };
    fixture.log.length = 0;
    await mkdir(fixture.storage.path);
  });
  afterEach(async () => {
    fixture.plane.failWith = undefined;
    for (const agent of agents.splice(0)) await agent.stop().catch(() => undefined);
    const left = await readdir(join(fixture.dataDir, 'work')).catch(() => []);
    await fixture.plane.close();
    await rm(fixture.dir, { recursive: true, force: true });
    expect(fixture.plane.malformed).toEqual([]);
    expect(left).toEqual([]);
  });
  return fixture;
}

/** Prover work for the stand-in stage program. */
export function proverWork(params: Record<string, unknown>): z.input<typeof ProverWork> {
  return {
    kind: 'prover',
    stage: 'pc1',
    network: 'dev',
    sector: { miner: 't01000', number: '7', sealProof: 'StackedDrg2KiBV1_1' },
    params,
  };
}

/** Whether a process of this number exists (a zombie that waits for its parent counts as ended). */
export async function isRunning(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return stat !== '' && stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3) !== 'Z';
}
