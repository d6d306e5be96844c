/**
 * Our own control plane, over HTTP, with its dev chain: `sealpool serve` and `sealpool devnet` as they are.
 * A job is a sector from its request through its first stage (AddPiece of zeros): the number is taken and compared
 * with the chain, the stage granted, its result reported, each step durable. The runners here answer at once
 * instead of working, since only the dispatch is measured. A hand-off is AddPiece → BuildTreeD.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type Client, createClient } from '../../src/api/client.ts';
import { commDOfPieces } from '../../src/chain/comm-d.ts';
import { MinerId } from '../../src/schema/ids.ts';
import type { Grant, Report } from '../../src/schema/runner.ts';
import type { Stage } from '../../src/schema/stage.ts';
import type { DispatchQueue } from './queue.ts';

const MINER = MinerId.parse('t01000');
const THREADS_PER_WORKER = 1_000;
const BATCH = 64;
const DRAINERS = 4;
const WAIT_MS = 20_000;
const SEALPOOL = join(import.meta.dirname, '../../bin/sealpool');
const RESOURCES = { cores: 2, ramBytes: 2 ** 33, diskFreeBytes: 2 ** 36, gpus: [] };
const ZEROS = { cid: 'baga6ea4seaqpy7usqklokfx2vxuynmupslkeutzexe2uqurdg5vhtebhxqmpqmy', hex: commDOfPieces([], 2048) };

/** A runner of this process: it registers like any other and answers what is asked. */
interface Runner {
  /** Reports these, takes up to `freeSlots` more; waits for something to take when there was nothing to report. */
  next(reports: readonly Grant[], freeSlots: number): Promise<Grant[]>;
}

/** The queue, and where its control plane is. */
export type OpenSealpool = DispatchQueue & { readonly url: string; readonly tokenFile: string };

/** A control plane with an empty database, and a sealing_thread for each of `jobs` jobs. */
export async function openSealpool(jobs: number): Promise<OpenSealpool> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-sealpool-'));
  const workers = Math.ceil(jobs / THREADS_PER_WORKER);
  const sections = Array.from({ length: workers }, (_, at) => `[[workers]]\nname = "bench-${at}"\nthreads = ${THREADS_PER_WORKER}\n`);
  // What BuildTreeD was handed is never reported: its lease must outlive the bench.
  const config = `log_level = "warn"\nrate_limits.token = { per_second = 100000, burst = 100000 }\nrate_limits.runner = { per_second = 100000, burst = 100000 }\n[scheduler]\nlease_ms = 3600000\n${sections.join('')}`;
  writeFileSync(join(folder, 'sealpool.toml'), config);
  const chain = await start('devnet', folder, {});
  const plane = await start('serve', folder, {
    SEALPOOL_CONFIG: join(folder, 'sealpool.toml'),
    SEALPOOL_CHAIN_URL: `${chain.url}/rpc/v1`,
    SEALPOOL_CHAIN_TOKEN_FILE: chain.tokenFile,
  });
  const admin = createClient({ baseUrl: plane.url, token: readFileSync(plane.tokenFile, 'utf8').trim() });
  const close = async (): Promise<void> => {
    await plane.stop();
    await chain.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  return { ...dispatch(admin, plane.url, close), url: plane.url, tokenFile: plane.tokenFile };
}

function dispatch(admin: Client, url: string, close: () => Promise<void>): DispatchQueue {
  const stop = new AbortController();
  const enqueue = async (): Promise<void> => {
    await admin.pledge({ plan: 'sealer', miner: MINER, count: 1 });
  };
  const work = async (jobs: number, lanes: number, batch: number): Promise<void> => {
    const runners = await Promise.all(Array.from({ length: lanes }, () => register(admin, url, ['AddPiece'], stop.signal)));
    let left = jobs;
    const all = new AbortController();
    const lane = async (runner: Runner): Promise<void> => {
      let held: Grant[] = [];
      while (!all.signal.aborted) {
        const reported = held.length;
        held = await runner.next(held, batch);
        left -= reported;
        if (left === 0) all.abort();
      }
    };
    // A lane that waits for more when all is done is left behind; its question ends with the bench.
    await Promise.race([Promise.all(runners.map(lane)), new Promise((resolve) => all.signal.addEventListener('abort', resolve))]);
  };
  let pair: Promise<[Runner, Runner]> | undefined;
  const startPair = (): Promise<[Runner, Runner]> =>
    Promise.all([register(admin, url, ['AddPiece'], stop.signal), register(admin, url, ['BuildTreeD'], stop.signal)]);
  return {
    name: 'Sealpool',
    setup: `SQLite, synchronous=FULL; drained by ${DRAINERS} runners that take and report up to ${BATCH} at once`,
    enqueue,
    work: (jobs, lanes) => work(jobs, lanes, 1),
    drain: (jobs) => work(jobs, DRAINERS, BATCH),
    queued: (jobs) => waiting(admin, jobs),
    handOff: async () => {
      pair ??= startPair();
      const [one, other] = await pair;
      const granted = one.next([], 1);
      await enqueue();
      const first = await granted;
      const second = other.next([], 1).then((grants) => ({ grants, atMs: performance.now() }));
      const reportedMs = performance.now();
      await one.next(first, 0);
      const { grants, atMs } = await second;
      if (grants[0]?.stage !== 'BuildTreeD') throw new Error('the second runner got no BuildTreeD; the hand-off did not happen');
      return atMs - reportedMs;
    },
    close: async () => {
      stop.abort();
      await close();
    },
  };
}

/** Resolves when `jobs` jobs wait for a runner. */
async function waiting(admin: Client, jobs: number): Promise<void> {
  for (;;) {
    let ready = 0;
    let cursor: string | undefined;
    do {
      const page = await admin.sectors({ state: 'DealsAcquired', limit: 500, cursor });
      ready += page.items.filter((item) => item.waiting.for === 'runner').length;
      cursor = page.cursor ?? undefined;
    } while (cursor !== undefined);
    if (ready >= jobs) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

let boots = 0;

async function register(admin: Client, url: string, stages: Stage[], ended: AbortSignal): Promise<Runner> {
  const { token } = await admin.createJoinToken({ trust: 'own', labels: [], ttlMs: 60_000 });
  boots += 1;
  const bootId = `bench-boot-${boots}`;
  const joining = createClient({ baseUrl: url });
  const { credential } = await joining.register({
    token,
    name: bootId,
    bootId,
    agentVersion: 'bench',
    stages,
    storage: [],
    resources: RESOURCES,
  });
  const client = createClient({ baseUrl: url, token: credential });
  return {
    next: async (held, freeSlots) => {
      const reports = held.map(({ attempt, epoch }): Report => ({
        outcome: 'done',
        attempt,
        epoch,
        outputs: [],
        result: addPieceResult(),
      }));
      for (;;) {
        const answer = await client.next({ bootId, freeSlots, running: [], reports, resources: RESOURCES, waitMs: WAIT_MS }, ended);
        const odd = answer.reports.find(({ status }) => status !== 'accepted');
        if (odd !== undefined) throw new Error(`a report was answered ${odd.status}: ${odd.message}`);
        if (answer.grants.length > 0 || reports.length > 0) return answer.grants;
      }
    },
  };
}

function addPieceResult(): Record<string, unknown> {
  return { pieces: [{ cid: ZEROS.cid, paddedSizeBytes: '2048', offsetBytes: '0', filler: true }], commD: ZEROS };
}

interface Started {
  readonly url: string;
  readonly tokenFile: string;
  stop(): Promise<void>;
}

/** Starts a long-running command and waits for its ready line. */
function start(command: string, folder: string, more: Record<string, string>): Promise<Started> {
  const data = join(folder, command);
  const child = spawn(SEALPOOL, [command, '--data', data, '--port', '0'], {
    env: { ...process.env, ...more },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return new Promise((resolve, reject) => {
    child.once('close', (code) => reject(new Error(`sealpool ${command} ended with ${code}; what it printed stands above`)));
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (!line.startsWith('{"ready":true')) return;
      const { url, tokenFile } = JSON.parse(line) as { url: string; tokenFile: string };
      resolve({ url, tokenFile, stop: () => stopChild(child) });
    });
  });
}

function stopChild(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.once('close', () => resolve());
    child.kill('SIGTERM');
  });
}
