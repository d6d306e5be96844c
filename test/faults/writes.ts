/** A short run of writes through the API, and what each answered one promises from then on. */
import { expect } from 'vitest';
import { ApiError, type Client, Unreachable } from '../../src/api/client.ts';
import { MINER } from '../e2e/processes.ts';

/** Jobs pledged in one request: all of them or none. */
const TOGETHER = 10;
/** A write that a full disk refused is sent again so often: the injected faults are fewer. */
const MOST_TRIES = 20;

/** What was answered, by name; `sent` without an answer may or may not have happened, but wholly. */
export class Writes {
  readonly jobs: string[] = [];
  readonly paused = new Set<string>();
  readonly aborted = new Set<string>();
  readonly pieces: string[] = [];
  readonly tokens: string[] = [];
  readonly revoked: string[] = [];
  readonly runners: string[] = [];
  /** Refusals for want of space. */
  refused = 0;
  answered = 0;
  /** Jobs, tokens and runners of the one request that got no answer. */
  readonly unanswered = { jobs: 0, pieces: 0, tokens: 0, runners: 0, name: '' };
  readonly #client: Client;

  constructor(client: Client) {
    this.#client = client;
  }

  /** Sends all; false when the control plane stopped answering. */
  async send(): Promise<boolean> {
    const client = this.#client;
    const pledge = (count: number) => client.pledge({ plan: 'sealer', miner: MINER, count });
    const job = (at: number): string => this.jobs[at] ?? '';
    const steps: [name: string, makes: Partial<Omit<Writes['unanswered'], 'name'>>, run: () => Promise<void>][] = [
      ['token', { tokens: 1 }, async () => void this.tokens.push((await client.createToken({ name: 'ops', role: 'operator' })).id)],
      ['piece', { pieces: 1 }, async () => void this.pieces.push((await client.addPiece(MINER, new Uint8Array(508).fill(1))).id)],
      ['pledge', { jobs: 3 }, async () => void this.jobs.push(...(await pledge(3)).items.map(({ id }) => id))],
      ['pause', {}, async () => void this.paused.add((await client.pause(job(1))).id)],
      ['abort', {}, async () => void this.aborted.add((await client.abort(job(2))).id)],
      ['runner', { runners: 1 }, async () => void this.runners.push(await register(client))],
      ['pledge many', { jobs: TOGETHER }, async () => void this.jobs.push(...(await pledge(TOGETHER)).items.map(({ id }) => id))],
      ['resume', {}, async () => void this.paused.delete((await client.resume(job(1))).id)],
      ['revoke', {}, async () => void this.revoked.push((await client.revokeToken(this.tokens[0] ?? '')).id)],
      ['pledge last', { jobs: 1 }, async () => void this.jobs.push(...(await pledge(1)).items.map(({ id }) => id))],
    ];
    for (const [name, makes, run] of steps) {
      Object.assign(this.unanswered, { jobs: 0, pieces: 0, tokens: 0, runners: 0 }, makes, { name });
      if (!(await this.#answered(run))) return false;
      this.answered += 1;
      Object.assign(this.unanswered, { jobs: 0, pieces: 0, tokens: 0, runners: 0, name: '' });
    }
    return true;
  }

  /** Once or, as long as the disk is full, again. */
  async #answered(run: () => Promise<void>): Promise<boolean> {
    for (let tries = 0; ; tries += 1) {
      try {
        await run();
        return true;
      } catch (error) {
        if (error instanceof Unreachable) return false;
        if (!(error instanceof ApiError)) throw error;
        expect(error.problem.status, error.message).toBe(503);
        // It says what happened and what to do.
        expect(error.problem.detail).toMatch(/.+[,;] .+/);
        if (error.problem.code === 'database_failed') return false;
        expect(error.problem.code).toBe('storage_full');
        this.refused += 1;
        if (tries === MOST_TRIES) throw new Error(`still refused after ${tries} tries: ${error.message}`, { cause: error });
      }
    }
  }

  /** Every answered write is there; the one without an answer is there wholly or not at all. */
  async found(client: Client): Promise<void> {
    const { unanswered } = this;
    const jobs = (await client.sectors({ limit: 500 })).items;
    const byId = new Map<string, (typeof jobs)[number]>(jobs.map((job) => [job.id, job]));
    expect(this.jobs.filter((id) => !byId.has(id))).toEqual([]);
    expect([0, unanswered.jobs]).toContain(jobs.length - this.jobs.length);
    for (const id of this.aborted) expect(byId.get(id)?.state).toBe('Aborted');
    const acted = ['pause', 'resume', 'abort'].includes(unanswered.name);
    for (const id of this.jobs) {
      const { paused, error } = byId.get(id) as (typeof jobs)[number];
      // A job whose retries came to an end is paused by the engine, with its error.
      if (error === null && !acted) expect(paused, id).toBe(this.paused.has(id));
    }
    const pieces = (await client.pieces(MINER)).items.map(({ id }) => id as string);
    const taken = jobs.flatMap(({ data }) => data.pieces.map(({ id }) => id as string));
    expect(this.pieces.filter((id) => !pieces.includes(id) && !taken.includes(id))).toEqual([]);
    const tokens = (await client.tokens()).items;
    expect(this.tokens.filter((id) => !tokens.some((token) => token.id === id))).toEqual([]);
    expect(tokens.length - this.tokens.length - 1).toBeLessThanOrEqual(unanswered.tokens);
    for (const id of this.revoked) expect(tokens.find((token) => token.id === id)?.revokedMs).toEqual(expect.any(Number));
    const runners = (await client.runners()).items.map(({ id }) => id as string);
    expect(this.runners.filter((id) => !runners.includes(id))).toEqual([]);
    expect(runners.length - this.runners.length).toBeLessThanOrEqual(unanswered.runners);
  }
}

async function register(client: Client): Promise<string> {
  const { token } = await client.createJoinToken({ trust: 'own' });
  const resources = { cores: 2, ramBytes: 1e10, diskFreeBytes: 1e12, gpus: [] };
  const { runnerId } = await client.register({
    token,
    name: 'one',
    bootId: 'boot-0001',
    agentVersion: '1',
    stages: ['C2'],
    storage: [],
    resources,
  });
  return runnerId;
}
