/** `sealpool runner`: what the command line gives becomes an agent that runs until it is asked to end. */
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { isBucket } from '../schema/miner-storage.ts';
import { type Agent, runAgent } from './agent.ts';
import type { AgentEnd } from './agent-loop.ts';
import type { AgentOptions, Log, StorageRoot } from './options.ts';

export type RunnerMainOptions = {
  readonly url: string;
  readonly dataDir: string;
  /** Path of the stage program. */
  readonly prover: string;
  /** Paths, or `id=path` for each. */
  readonly storage?: readonly (string | StorageRoot)[];
  /** The join token itself, from the environment; never from the arguments, which every user of the machine can read. */
  readonly joinToken?: string | undefined;
  /** A file with the join token; used when `joinToken` is not given. Need not exist once the runner has registered. */
  readonly joinTokenFile?: string | undefined;
  readonly name?: string | undefined;
  readonly stages?: AgentOptions['stages'];
  readonly slots?: number | undefined;
  readonly processors?: AgentOptions['processors'];
  readonly cacheBytes?: number | undefined;
  readonly storageBytesPerS?: number | undefined;
  readonly executor?: AgentOptions['executor'];
  readonly software?: AgentOptions['software'];
  readonly measureNetwork?: boolean | undefined;
  readonly environment: AgentOptions['environment'];
  readonly log: Log;
  /** Called once it has registered and works. */
  readonly onReady: (agent: Agent) => void;
  /** Resolves when the process is asked to end. */
  readonly askedToEnd: Promise<unknown>;
};

/** Runs until asked to end, or until other software waits for it. Rejects with a sentence when it cannot begin or its credential is refused. */
export async function runnerMain(options: RunnerMainOptions): Promise<AgentEnd> {
  const ending = new AbortController();
  void options.askedToEnd.then(() => ending.abort());
  try {
    const agent = await runAgent({
      url: options.url,
      joinToken: options.joinToken ?? (await readToken(options.joinTokenFile)),
      dataDir: resolve(options.dataDir),
      prover: resolve(options.prover),
      storage: (options.storage ?? []).map((one) => (typeof one === 'string' ? parseStorage(one) : one)),
      name: options.name ?? hostname().slice(0, 60),
      stages: options.stages,
      slots: options.slots,
      processors: options.processors,
      cacheBytes: options.cacheBytes,
      storageBytesPerS: options.storageBytesPerS,
      executor: options.executor,
      software: options.software,
      measureNetwork: options.measureNetwork,
      environment: options.environment,
      log: options.log,
      signal: ending.signal,
    });
    options.onReady(agent);
    return await agent.ended;
  } catch (error) {
    // Asked to end before it had registered.
    if (!ending.signal.aborted || (error as Error).name !== 'AbortError') throw error;
    return 'stopped';
  }
}

/** `id=path` of `--storage`. */
export function parseStorage(text: string): StorageRoot {
  const [, id, path] = /^([A-Za-z0-9][A-Za-z0-9_.-]{0,59})=(.+)$/.exec(text) ?? [];
  if (id === undefined || path === undefined) {
    throw new Error(`--storage ${JSON.stringify(text)} is not ID=PATH; write for example --storage main=/mnt/sealed`);
  }
  if (isBucket(path))
    throw new Error(`storage ${id} is a bucket, which needs more than a path; name it in runner.storage of the configuration`);
  return { id, path: resolve(path) };
}

async function readToken(file: string | undefined): Promise<string | undefined> {
  if (file === undefined) return undefined;
  return readFile(file, 'utf8').then(
    (text) => text.trim(),
    () => undefined,
  );
}
