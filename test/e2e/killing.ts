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

/** One pre-commit and one prove-commit per sector on the chain, each result applied once, each transition once. */
export async function nothingTwice(deployment: Deployment, details: readonly SectorDetail[]): Promise<void> {
  const messages = await deployment.messages();
  expect(messages.filter(({ method }) => method === 28)).toHaveLength(details.length);
  expect(messages.filter(({ method }) => method === 34)).toHaveLength(details.length);
  for (const { job, events, attempts } of details) {
    expect(job).toMatchObject({ state: 'Finished', generation: 1 });
    for (const message of [job.data.preCommit, job.data.proveCommit]) {
      expect(messages.filter(({ cid }) => cid === message?.cid)).toEqual([expect.objectContaining({ exitCode: 0 })]);
    }
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
