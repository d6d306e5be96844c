/** Real processes for tests: dev chain, control plane and runners on a folder of their own, to be killed at will. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type Client, type SectorDetail, createClient } from '../../src/api/client.ts';
import { MinerId } from '../../src/schema/ids.ts';
import { REAL_PROVER } from '../replay-prover/replay-prover.ts';

export const ROOT = join(import.meta.dirname, '../..');
export const ENTRY = join(ROOT, 'src/main/sealpool.ts');
export const REPLAY_PROVER = join(ROOT, 'test/replay-prover/sealpool-prover');
export const MINER = MinerId.parse('t01000');

export type Ready = { readonly url: string; readonly listening?: string; readonly tokenFile: string };

/** One `sealpool …` process; started again it gets the same arguments and port. */
export class Daemon {
  readonly #args: readonly string[];
  readonly #env: Record<string, string>;
  readonly #log: string;
  readonly #prefix: readonly string[];
  #port = 0;
  #child: ChildProcess | undefined;
  #gone: Promise<void> = Promise.resolve();

  /** `prefix`: a program and its arguments that run it, such as strace -D. */
  constructor(args: readonly string[], env: Record<string, string>, log: string, prefix: readonly string[] = []) {
    this.#args = args;
    this.#env = env;
    this.#log = log;
    this.#prefix = prefix;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Resolves with the exit code or signal once it has ended by itself. */
  async ended(): Promise<number | string | null> {
    await this.#gone;
    return this.#child?.exitCode ?? this.#child?.signalCode ?? null;
  }

  /** Starts it; resolves once it serves, rejects with its log when it ends before. */
  async start(): Promise<Ready> {
    const log = openSync(this.#log, 'a');
    const command = [process.execPath, '--disable-warning=ExperimentalWarning', ENTRY, ...this.#args, '--port', String(this.#port)];
    const [program = '', ...rest] = [...this.#prefix, ...command];
    const child = spawn(program, rest, {
      env: { ...cleanEnvironment(), ...this.#env },
      stdio: ['ignore', 'pipe', log],
    });
    closeSync(log);
    this.#child = child;
    this.#gone = new Promise((resolve) => child.once('close', () => resolve()));
    const line = await new Promise<string>((resolve, reject) => {
      createInterface({ input: child.stdout as NodeJS.ReadableStream }).once('line', resolve);
      child.once('close', () =>
        reject(
          new Error(
            `sealpool ${this.#args[0]} ended with ${child.exitCode ?? child.signalCode}:\n${readFileSync(this.#log, 'utf8').slice(-2_000)}`,
          ),
        ),
      );
    });
    const ready = JSON.parse(line) as Ready;
    this.#port = Number(new URL(ready.listening ?? ready.url).port);
    return ready;
  }

  /** Ends it with this signal and waits until it is gone; answers the exit code or signal. */
  async end(signal: NodeJS.Signals): Promise<number | string | null> {
    const child = this.#child;
    if (child === undefined) return null;
    child.kill(signal);
    return this.ended();
  }
}

/** Stripping types and compiling is half of what a start costs; Node keeps the result when a process ends in order. */
const COMPILED = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'sealpool/node-compile-cache');

/** The environment without any setting of ours. */
export function cleanEnvironment(): Record<string, string> {
  const kept = Object.entries(process.env).filter(([name, value]) => !name.startsWith('SEALPOOL_') && value !== undefined);
  return { NODE_COMPILE_CACHE: COMPILED, ...(Object.fromEntries(kept) as Record<string, string>) };
}

export type DeploymentOptions = {
  readonly prover?: string;
  readonly acceptReplay?: boolean;
  /** The control plane's data folder, where that is not one of its own. */
  readonly dataDir?: string;
  /** Settings of the control plane in their environment spelling. */
  readonly settings?: Record<string, string>;
  /** Length of an epoch of the dev chain: a ticket is good for 2,880 of them. */
  readonly epochMs?: number;
};

/** Quick leases, so that a killed runner costs a test a second and not twenty. */
const QUICK = {
  SEALPOOL_SCHEDULER_HEARTBEAT_MS: '500',
  SEALPOOL_SCHEDULER_LEASE_MS: '3000',
  SEALPOOL_SCHEDULER_GRACE_MS: '{ PC1 = 0, CheckSealed = 0, Unseal = 0 }',
  SEALPOOL_SCHEDULER_RETRY_FIRST_MS: '200',
  SEALPOOL_SCHEDULER_RETRY_MAX_MS: '1000',
};

export class Deployment {
  readonly folder: string;
  readonly chain: Daemon;
  readonly controlPlane: Daemon;
  readonly runners = new Map<string, Daemon>();
  readonly #prover: string;
  readonly #serve: readonly [args: readonly string[], env: Record<string, string>];
  chainUrl = '';
  url = '';
  token = '';

  private constructor(folder: string, chain: Daemon, serve: readonly [readonly string[], Record<string, string>], prover: string) {
    this.folder = folder;
    this.chain = chain;
    this.controlPlane = new Daemon(...serve, join(folder, 'serve.log'));
    this.#serve = serve;
    this.#prover = prover;
  }

  /** Dev chain and control plane; runners are added. */
  static async start(options: DeploymentOptions = {}): Promise<Deployment> {
    const folder = mkdtempSync(join(tmpdir(), 'sealpool-e2e-'));
    const prover = options.prover ?? REPLAY_PROVER;
    const replay = (options.acceptReplay ?? true) ? ['--accept-replay'] : [];
    const chain = new Daemon(
      ['devnet', '--data', join(folder, 'devnet'), ...replay],
      { SEALPOOL_PROVER: REAL_PROVER, SEALPOOL_DEVNET_EPOCH_MS: String(options.epochMs ?? 50) },
      join(folder, 'devnet.log'),
    );
    const { url: chainUrl, tokenFile } = await chain.start();
    const env = { SEALPOOL_CHAIN_URL: `${chainUrl}/rpc/v1`, SEALPOOL_CHAIN_TOKEN_FILE: tokenFile, ...QUICK, ...options.settings };
    const args = ['serve', '--data', options.dataDir ?? join(folder, 'data')];
    const deployment = new Deployment(folder, chain, [args, env], prover);
    deployment.chainUrl = chainUrl;
    // A control plane that does not start must not leave its chain behind.
    const ready = await deployment.controlPlane.start().catch(async (error: unknown) => {
      await chain.end('SIGKILL');
      throw error;
    });
    deployment.url = ready.listening ?? ready.url;
    deployment.token = readFileSync(ready.tokenFile, 'utf8').trim();
    return deployment;
  }

  /** A further control plane on the same data folder, as if somebody started one by mistake; its log is `again.log`. */
  anotherControlPlane(): Daemon {
    return new Daemon(...this.#serve, join(this.folder, 'again.log'));
  }

  get client(): Client {
    return createClient({ baseUrl: this.url, token: this.token });
  }

  /** Registers and starts a runner; an own one gets storage unless it may not persist. */
  async addRunner(
    name: string,
    options: {
      trust?: 'own' | 'rented';
      labels?: string[];
      stages?: readonly string[];
      prover?: string;
      environment?: Record<string, string>;
      /** Where it finds the control plane, if not where that listens. */
      url?: string;
    } = {},
  ): Promise<Daemon> {
    const trust = options.trust ?? 'own';
    const { token } = await this.client.createJoinToken({ trust, ...(options.labels === undefined ? {} : { labels: options.labels }) });
    mkdirSync(join(this.folder, 'storage'), { recursive: true });
    const env: Record<string, string> = {
      SEALPOOL_PROVER: options.prover ?? this.#prover,
      SEALPOOL_RUNNER_JOIN_TOKEN: token,
      SEALPOOL_RUNNER_NAME: name,
      ...options.environment,
    };
    if (trust === 'own') env['SEALPOOL_RUNNER_STORAGE'] ??= `[{ id = "main", path = ${JSON.stringify(join(this.folder, 'storage'))} }]`;
    if (options.stages !== undefined) env['SEALPOOL_RUNNER_STAGES'] = JSON.stringify(options.stages);
    const daemon = new Daemon(
      ['runner', '--data', join(this.folder, `runner-${name}`), '--url', options.url ?? this.url],
      env,
      join(this.folder, `runner-${name}.log`),
    );
    this.runners.set(name, daemon);
    await daemon.start();
    return daemon;
  }

  async pledge(count = 1): Promise<string[]> {
    const { items } = await this.client.pledge({ plan: 'sealer', miner: MINER, count });
    return items.map(({ id }) => id);
  }

  /** Follows the job's events until one matches; a control plane that is away is asked again. */
  async until(job: string, holds: (detail: SectorDetail) => boolean, withinMs = 90_000): Promise<SectorDetail> {
    const limit = Date.now() + withinMs;
    for (;;) {
      const detail = await this.client.sector(job).catch(() => undefined);
      if (detail !== undefined && holds(detail)) return detail;
      if (Date.now() > limit)
        throw new Error(
          `job ${job} did not get there: ${detail?.job.state} ${JSON.stringify(detail?.job.waiting)} ${detail?.job.error?.message ?? ''}`,
        );
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  finished(job: string, withinMs?: number): Promise<SectorDetail> {
    return this.until(
      job,
      ({ job: { state, paused, error } }) => {
        if (paused || state === 'Aborted') throw new Error(`job ${job} stopped in ${state}: ${error?.message}`);
        return state === 'Finished';
      },
      withinMs,
    );
  }

  /** Asks the dev chain's control: its clock, balances, randomness. */
  async control(request: object): Promise<void> {
    const token = readFileSync(join(this.folder, 'devnet/devnet.token'), 'utf8').trim();
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${token}` };
    const answer = await fetch(`${this.chainUrl}/control`, { method: 'POST', headers, body: JSON.stringify(request) });
    if (!answer.ok) throw new Error(`the dev chain refused ${JSON.stringify(request)}: ${await answer.text()}`);
  }

  /** Every message the chain was ever given. */
  async messages(): Promise<{ cid: string; method: number; from: string; nonce: number; state: string; exitCode: number | null }[]> {
    const text = await (await fetch(`${this.chainUrl}/messages`)).text();
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line));
  }

  async end(): Promise<void> {
    await Promise.all([...this.runners.values()].map((runner) => runner.end('SIGTERM')));
    await this.controlPlane.end('SIGTERM');
    await this.chain.end('SIGTERM');
    rmSync(this.folder, { recursive: true, force: true });
  }
}
