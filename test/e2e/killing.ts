/** Killing processes at seeded moments, and what must hold afterwards. */
import { expect } from 'vitest';
import type { SectorDetail } from '../../src/api/client.ts';
import type { Daemon, Deployment } from './processes.ts';

/** Numbers in [0, 1) that follow from the seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export type Victim = 'chain' | 'control plane' | 'runner';

/** Kills the three kinds of process in turn-mixed order, each restarted at once; answers whom, in order. */
export async function killAtRandom(
  deployment: Deployment,
  random: () => number,
  plan: { kills: number; betweenMs: readonly [number, number] },
): Promise<Victim[]> {
  const order: Victim[] = ['control plane', 'runner', 'chain'];
  const killed: Victim[] = [];
  const [least, most] = plan.betweenMs;
  for (let at = 0; at < plan.kills; at += 1) {
    // Each round of three has all of them, in an order of its own.
    if (at % order.length === 0) order.sort(() => random() - 0.5);
    const victim = order[at % order.length] as Victim;
    await new Promise((resolve) => setTimeout(resolve, least + random() * (most - least)));
    const daemon = daemonOf(deployment, victim);
    expect(await daemon.end('SIGKILL')).toBe('SIGKILL');
    killed.push(victim);
    await daemon.start();
  }
  return killed;
}

function daemonOf(deployment: Deployment, victim: Victim): Daemon {
  if (victim === 'chain') return deployment.chain;
  if (victim === 'control plane') return deployment.controlPlane;
  return [...deployment.runners.values()][0] as Daemon;
}

/**
 * Kills every kind of process side by side, each in its own rhythm, until `kills` were made; a runner is any of them.
 * It lives for up to `liveMs` and `liveStarts` times what its start took: on a busy machine work is slower as well.
 */
export async function killSideBySide(
  deployment: Deployment,
  random: () => number,
  plan: { kills: number; liveMs: number; liveStarts: number; killed: (victim: Victim, count: number) => void },
): Promise<void> {
  let begun = 0;
  let count = 0;
  const one = async (victim: Victim): Promise<void> => {
    let startMs = 0;
    while ((begun += 1) <= plan.kills) {
      await new Promise((resolve) => setTimeout(resolve, random() * (plan.liveMs + plan.liveStarts * startMs)));
      const runners = [...deployment.runners.values()];
      const daemon = victim === 'runner' ? (runners[Math.floor(random() * runners.length)] as Daemon) : daemonOf(deployment, victim);
      expect(await daemon.end('SIGKILL')).toBe('SIGKILL');
      plan.killed(victim, (count += 1));
      const fromMs = performance.now();
      await daemon.start();
      startMs = performance.now() - fromMs;
    }
  };
  await Promise.all((['chain', 'control plane', 'runner'] as const).map(one));
}

/** Methods of the miner actor whose messages a job of the plan sends: each lands once. */
const METHODS: Readonly<Record<string, readonly number[]>> = { sealer: [28, 34], snapup: [35], rebuild: [], unseal: [] };

/** One message per sector and step on the chain, nonces without gaps, each result applied once, each transition once. */
export async function nothingTwice(deployment: Deployment, details: readonly SectorDetail[]): Promise<void> {
  const messages = await deployment.messages();
  const wanted = details.flatMap(({ job }) => METHODS[job.plan] ?? []);
  expect(messages.map(({ method }) => method).sort()).toEqual([...wanted].sort());
  for (const sender of new Set(messages.map(({ from }) => from))) {
    const nonces = messages.filter((message) => message.from === sender).map(({ nonce }) => nonce);
    expect(nonces.sort((a, b) => a - b)).toEqual(nonces.map((_, at) => at));
  }
  for (const { job, events, attempts } of details) {
    expect(job).toMatchObject({ state: 'Finished', generation: 1 });
    const own = [job.data.preCommit, job.data.proveCommit, job.data.replicaUpdate].filter((message) => message !== undefined);
    const landed = own.map(({ cid }) => messages.filter((message) => message.cid === cid));
    expect(landed.flat().map(({ method, exitCode }) => [method, exitCode])).toEqual((METHODS[job.plan] ?? []).map((method) => [method, 0]));
    const done = attempts
      .filter(({ status }) => status === 'done')
      .map(({ stage, state, generation }) => `${stage} in ${state} of ${generation}`);
    expect(done).toEqual([...new Set(done)]);
    const applied = events
      .filter(({ kind, detail }) => kind === 'attempt' && detail['status'] === 'done')
      .map(({ detail }) => detail['attempt']);
    expect(applied).toEqual([...new Set(applied)]);
    const transitions = events.filter(({ kind }) => kind === 'transition').map(({ from }) => from);
    expect(transitions).toEqual([...new Set(transitions)]);
  }
}
