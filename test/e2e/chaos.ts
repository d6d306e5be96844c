/**
 * Faults of runners at chosen moments of chosen stages. Two runners of which either may take anything, each behind a
 * network of its own and with a disk of its own: the one that has the stage when the moment comes is hit, the other one
 * is there to go on.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync, chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, vi } from 'vitest';
import type { SectorDetail } from '../../src/api/client.ts';
import type { NextAnswer } from '../../src/schema/runner.ts';
import { type Daemon, Deployment, REPLAY_PROVER, ROOT } from './processes.ts';
import { type Moment, RunnerProxy } from './runner-proxy.ts';

const FAULTS = ['kill', 'stop', 'cut', 'full'] as const;

/** The stages of a sealer job: what the prover calls each, and the moments that its traffic shows. */
const STAGES = [
  ['AddPiece', 'add-piece', ['reporting']],
  ['BuildTreeD', 'tree-d', ['sending', 'reporting']],
  ['PC1', 'pc1', ['sending', 'reporting']],
  ['PC2', 'pc2', ['fetching', 'sending', 'reporting']],
  ['C1', 'c1', ['fetching', 'sending', 'reporting']],
  ['Verify', 'verify-vanilla', ['fetching', 'reporting']],
  ['Persist', undefined, ['fetching', 'reporting']],
  ['C2', 'c2', ['fetching', 'reporting']],
] as const satisfies readonly (readonly [string, string | undefined, readonly Moment[]])[];

export type Strike = {
  readonly stage: string;
  readonly prover: string | undefined;
  readonly moment: Moment | 'running';
  readonly fault: (typeof FAULTS)[number];
};

/** Every fault at every moment of every stage. */
export const STRIKES: readonly Strike[] = STAGES.flatMap(([stage, prover, moments]) =>
  [...(prover === undefined ? [] : (['running'] as const)), ...moments].flatMap((moment) =>
    FAULTS.map((fault): Strike => ({ stage, prover, moment, fault })),
  ),
);

type Runner = {
  readonly name: string;
  readonly daemon: Daemon;
  readonly proxy: RunnerProxy;
  readonly data: string;
  readonly holds: string;
};
type Lost = { readonly runner: Runner; readonly attempt: string; readonly epoch: number };

/** A disk of its own needs a mount. */
export const canMount = spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0;
const DISK = 'size=64m';
const SOON = { timeout: 60_000, interval: 50 };

export class Chaos {
  readonly deployment: Deployment;
  readonly #runners: Runner[] = [];

  private constructor(deployment: Deployment) {
    this.deployment = deployment;
  }

  static async start(): Promise<Chaos> {
    const chaos = new Chaos(await Deployment.start({ settings: { SEALPOOL_SCHEDULER_POLL_MS: '1000' } }));
    for (const name of ['one', 'two']) await chaos.#add(name);
    return chaos;
  }

  async end(): Promise<void> {
    for (const { proxy, daemon, data } of this.#runners) {
      spawnSync('kill', ['-CONT', String(daemon.pid)]);
      await daemon.end('SIGKILL');
      await proxy.close();
      spawnSync('umount', ['-l', data]);
    }
    await this.deployment.end();
  }

  /** Seals a sector in which this happens. The runner that was hit is well again afterwards. */
  async seal(strike: Strike): Promise<SectorDetail> {
    const armed = Promise.race(this.#runners.map((runner) => this.#arm(runner, strike).then(() => runner)));
    const [job = ''] = await this.deployment.pledge();
    const missed = this.deployment.finished(job).then((): never => {
      throw new Error(`no runner came to ${strike.moment} ${strike.stage}`);
    });
    missed.catch(() => undefined);
    const hit = await Promise.race([armed, missed]);
    const { attempts } = await this.deployment.client.sector(job);
    const struck = attempts.findLast(({ stage, status }) => stage === strike.stage && status === 'running');
    if (struck === undefined) throw new Error(`no attempt of ${strike.stage} runs although ${hit.name} is at it`);
    // The other one is to go on without being held.
    for (const runner of this.#runners) if (runner !== hit) this.#disarm(runner);
    await this.#strike(strike, job, { runner: hit, attempt: struck.id, epoch: struck.epoch });
    const detail = await this.deployment.finished(job);
    for (const { id, epoch, status } of detail.attempts) if (status === 'lost') await this.#tooLate({ runner: hit, attempt: id, epoch });
    return detail;
  }

  async #add(name: string): Promise<void> {
    const { deployment } = this;
    const proxy = await RunnerProxy.listen(deployment.url);
    const [data, holds] = [join(deployment.folder, `runner-${name}`), join(deployment.folder, `holds-${name}`)];
    mkdirSync(data);
    mkdirSync(holds);
    execFileSync('mount', ['-t', 'tmpfs', '-o', DISK, 'tmpfs', data]);
    const prover = join(holds, 'prover');
    const program = `'${process.execPath}' --disable-warning=ExperimentalWarning '${join(ROOT, 'test/e2e/holding-prover.ts')}'`;
    // Starting Node for each stage is only worth it where one is held.
    writeFileSync(prover, `#!/bin/sh\nls '${holds}' | grep -q ^hold- || exec '${REPLAY_PROVER}' "$@"\nexec ${program} '${holds}' "$@"\n`);
    chmodSync(prover, 0o755);
    // What it has kept of another stage it would not fetch, and there would be nothing to hold.
    const environment = { SEALPOOL_RUNNER_CACHE_BYTES: '0' };
    this.#runners.push({ name, daemon: await deployment.addRunner(name, { url: proxy.url, prover, environment }), proxy, data, holds });
  }

  /** Resolves when the runner has come to the moment, and is held there. */
  async #arm({ proxy, holds }: Runner, { stage, moment, prover }: Strike): Promise<void> {
    if (moment !== 'running') {
      await proxy.hold(stage, moment);
      return;
    }
    const running = join(holds, `running-${prover}`);
    rmSync(running, { force: true });
    writeFileSync(join(holds, `hold-${prover}`), '');
    await new Promise<void>((resolve) => {
      const look = setInterval(() => {
        if (existsSync(join(holds, `hold-${prover}`)) && !existsSync(running)) return;
        clearInterval(look);
        if (existsSync(running)) resolve();
      }, 20);
    });
  }

  #disarm({ proxy, holds }: Runner): void {
    proxy.release();
    for (const name of readdirSync(holds)) if (name.startsWith('hold-')) rmSync(join(holds, name));
  }

  async #strike({ fault }: Strike, job: string, lost: Lost): Promise<void> {
    const { runner } = lost;
    if (fault === 'kill') {
      expect(await runner.daemon.end('SIGKILL')).toBe('SIGKILL');
      this.#disarm(runner);
      await runner.daemon.start();
      return;
    }
    if (fault === 'full') {
      fill(join(runner.data, 'filler'));
      this.#disarm(runner);
      await this.deployment.until(job, ({ attempts }) => attempts.some(({ id, status }) => id === lost.attempt && status !== 'running'));
      rmSync(join(runner.data, 'filler'));
      return;
    }
    // Past the lease, and until the other one has done it.
    if (fault === 'cut') runner.proxy.cut();
    else process.kill(runner.daemon.pid as number, 'SIGSTOP');
    await this.#doneElsewhere(job, lost);
    const before = this.#files(job);
    this.#disarm(runner);
    if (fault === 'cut') runner.proxy.mend();
    else process.kill(runner.daemon.pid as number, 'SIGCONT');
    // It hears that the lease is over and drops what it has.
    await vi.waitFor(() => expect(existsSync(join(runner.data, 'work', lost.attempt))).toBe(false), SOON);
    await vi.waitFor(() => expect(runner.proxy.said?.running.map(({ attempt }) => attempt)).not.toContain(lost.attempt), SOON);
    for (const status of runner.proxy.answers.get(lost.attempt) ?? []) expect(status).toBe('lease_lost');
    const after = this.#files(job);
    for (const [path, hash] of before) if (after.has(path)) expect([path, after.get(path)]).toEqual([path, hash]);
    // Layers were handed in before the lease was lost, and whoever went on with them built on them.
    expect([...after.keys()].filter((path) => path.includes(lost.attempt) && !/data-layer-\d+\.dat$/.test(path))).toEqual([]);
  }

  async #doneElsewhere(job: string, lost: Lost): Promise<void> {
    const { attempts } = await this.deployment.until(job, (detail) => {
      const own = detail.attempts.find(({ id }) => id === lost.attempt);
      return detail.attempts.some(({ stage, epoch, status }) => stage === own?.stage && epoch > lost.epoch && status === 'done');
    });
    expect(attempts.find(({ id }) => id === lost.attempt)).toMatchObject({ status: 'lost' });
  }

  /** Hashes of the job's objects, by path. */
  #files(job: string): Map<string, string> {
    const objects = join(this.deployment.folder, 'data/objects');
    const entries = readdirSync(objects, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    const paths = entries.map((entry) => join(entry.parentPath, entry.name)).filter((path) => path.includes(job));
    return new Map(
      paths.flatMap((path) => (existsSync(path) ? [[path, createHash('sha256').update(readFileSync(path)).digest('hex')]] : [])),
    );
  }

  /** The result of a lost lease, told once more in the runner's own name when all is over. */
  async #tooLate({ runner, attempt, epoch }: Lost): Promise<void> {
    const { said } = runner.proxy;
    if (said === undefined) throw new Error(`${runner.name} never spoke`);
    const { credential } = JSON.parse(readFileSync(join(runner.data, 'runner.json'), 'utf8')) as { credential: string };
    const reports = [{ outcome: 'done', attempt, epoch, outputs: [], result: {} }];
    const answer = await fetch(`${this.deployment.url}/v1/runners/self/next`, {
      method: 'POST',
      headers: { authorization: `Bearer ${credential}`, 'content-type': 'application/json' },
      body: JSON.stringify({ ...said, freeSlots: 0, reports, waitMs: 0 }),
    });
    expect(((await answer.json()) as NextAnswer).reports).toMatchObject([{ attempt, status: 'lease_lost' }]);
  }
}

/** Writes until nothing more fits. */
function fill(path: string): void {
  for (let bytes = 2 ** 20; bytes >= 512; bytes /= 2) {
    try {
      for (;;) appendFileSync(path, Buffer.alloc(bytes, 1));
    } catch (error) {
      expect((error as NodeJS.ErrnoException).code).toBe('ENOSPC');
    }
  }
}
