/**
 * Keeps an agent running on a host where nobody else does: one that ends for an upgrade is started anew, as the same
 * runner, with the files that its control plane hands out, fetched by hash, and one that crashed with those it had. An end in
 * order is passed on, and so is one that starting it again does not mend.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { constants, hostname } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { download } from '../runners/download.ts';
import { hashFile } from '../runners/file-hash.ts';
import { Backoff, pause } from '../runners/lanes.ts';
import { RunnerOffer } from '../schema/runner-offer.ts';
import { SealpoolError } from '../schema/problem.ts';
import { type Config, envName } from './config.ts';
import { openLog } from './log.ts';
import { RUNNER_EXIT } from './runner-exit.ts';

const PATIENCE_MS = 60_000;
const CALL_MS = 10_000;
/** An agent that lived so long has not ended for what ended the one before. */
const STEADY_MS = 10 * 60_000;
/** Ends after which no agent is started. */
const LAST: ReadonlySet<number> = new Set([RUNNER_EXIT.stopped, RUNNER_EXIT.refused, RUNNER_EXIT.configuration]);

/** Paths of what runs. */
export type RunnerFiles = { readonly agent: string; readonly prover: string };

/** Runs the agent until it ends in order or for good, or is asked to; answers its exit code. */
export async function launch(config: Config, files: RunnerFiles): Promise<number> {
  const { url } = config;
  if (url === undefined)
    throw new SealpoolError('bad_request', 'configuration', `the runner does not know its control plane; set ${envName('url')} to its URL`);
  const log = openLog(config.log_level);
  const dataDir = resolve(config.data);
  const asked = new AbortController();
  let child: ChildProcess | undefined;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      asked.abort();
      child?.kill(signal);
    });
  }
  // A prover of the operator's own is used as it is.
  const upgrades = config['runner.upgrades'] ?? (config.prover === undefined ? 'all' : 'agent');
  let { agent, prover } = { ...files, ...(config.prover === undefined ? {} : { prover: resolve(config.prover) }) };
  // An upgrade that leaves all as it was must not go round and round, nor a crash.
  const backoff = new Backoff(1_000, 60_000);
  for (;;) {
    const named = process.env[envName('runner.name')] ?? hostname().slice(0, 60);
    const env = { ...process.env, [envName('runner.name')]: named, [envName('prover')]: prover, [envName('runner.upgrades')]: upgrades };
    // It is used up then, and a stage could read it where it runs as the same user.
    if (existsSync(join(dataDir, 'runner.json'))) delete env[envName('runner.join_token')];
    const startedMs = performance.now();
    child = spawn(process.execPath, [agent], { env, stdio: ['ignore', 'inherit', 'inherit'] });
    const code = await exitCode(child);
    if (asked.signal.aborted || LAST.has(code)) return code;
    if (performance.now() - startedMs >= STEADY_MS) backoff.reset();
    if (code === RUNNER_EXIT.upgrade) {
      const fetched = await fetchPatiently(url, join(dataDir, 'software'), log, asked.signal);
      if (fetched === undefined) return RUNNER_EXIT.stopped;
      agent = fetched.agent;
      if (upgrades === 'all') prover = fetched.prover;
      log.info(fetched, 'the runner starts anew with other software');
    } else {
      log.error({ code }, 'the runner ended unexpectedly; what it said last is above, it is started again');
    }
    await pause(backoff.nextMs(), asked.signal);
    if (asked.signal.aborted) return RUNNER_EXIT.stopped;
  }
}

/** The files, once they can be fetched; undefined when it is asked to end before. */
async function fetchPatiently(
  url: string,
  folder: string,
  log: ReturnType<typeof openLog>,
  asked: AbortSignal,
): Promise<RunnerFiles | undefined> {
  const backoff = new Backoff(1_000, 30_000);
  for (;;) {
    try {
      return await fetchOffered(url, folder, asked);
    } catch (error) {
      if (asked.aborted) return undefined;
      log.warn({ err: error }, 'the software for this runner could not be fetched; it is tried again');
      await pause(backoff.nextMs(), asked);
    }
  }
}

async function exitCode(child: ChildProcess): Promise<number> {
  return new Promise((settle, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => settle(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
  });
}

/** Agent and prover as the control plane hands them out now, below `folder`; what was there before goes. */
export async function fetchOffered(url: string, folder: string, signal: AbortSignal): Promise<RunnerFiles> {
  const base = url.replace(/\/+$/, '');
  const answer = await fetch(`${base}/runner/files`, {
    redirect: 'error',
    signal: AbortSignal.any([signal, AbortSignal.timeout(CALL_MS)]),
  });
  if (!answer.ok) throw new Error(`${base}/runner/files answered ${answer.status}; look at the control plane's log`);
  const offer = RunnerOffer.parse(await answer.json());
  if (offer.arch !== process.arch)
    throw new Error(`the control plane hands out software for ${offer.arch} and this host is ${process.arch}`);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const agent = await fetchFile(base, offer.agent, join(folder, `agent-${hexOf(offer.agent.hash)}.mjs`), signal);
  const prover = await fetchFile(base, offer.prover, join(folder, `prover-${hexOf(offer.prover.hash)}`), signal);
  await chmod(prover, 0o755);
  const kept = new Set([basename(agent), basename(prover)]);
  for (const name of await readdir(folder)) if (!kept.has(name)) await rm(join(folder, name), { force: true, recursive: true });
  return { agent, prover };
}

/** The file itself, whether it is fetched or was there: never one with another hash. */
async function fetchFile(base: string, { hash, sizeBytes }: RunnerOffer['agent'], path: string, signal: AbortSignal): Promise<string> {
  if (existsSync(path) && (await hashFile(path, signal)).hash === hash) return path;
  const draft = `${path}.part`;
  await rm(draft, { force: true });
  const input = { name: hash, url: `${base}/runner/${hexOf(hash)}`, sizeBytes: String(sizeBytes), hash };
  await download(input, draft, { signal, patienceMs: PATIENCE_MS });
  if ((await hashFile(draft, signal)).hash !== hash) {
    await rm(draft, { force: true });
    throw new Error(`what ${base} sent is not the file with the hash ${hash}; something on the way changes it`);
  }
  await rename(draft, path);
  return path;
}

const hexOf = (hash: string): string => hash.slice('sha256:'.length);
