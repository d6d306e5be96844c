/**
 * `make demo [FILE=path]`: seals one sector for real through the HTTP API of `sealpool dev`, and shows it as it happens.
 * The data folder ($SEALPOOL_DATA, else in the cache) is kept, so that a second run goes on on the same chain with
 * the next sector.
 */
import { createReadStream, readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { ApiError, type Client, createClient, type SectorDetail } from '../src/api/client.ts';
import { MinerId } from '../src/schema/ids.ts';
import type { JobEvent } from '../src/schema/job.ts';
import { startDev } from './demo/dev-process.ts';
import { printLine, progressText, seconds, showProgress } from './demo/progress-line.ts';

const MINER = MinerId.parse('t01000');
const PROGRESS_MS = 500;
/** Where stdout is no terminal. */
const PRINT_MS = 10_000;
const root = join(import.meta.dirname, '..');
const dataDir = process.env.SEALPOOL_DATA ?? join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'sealpool/demo');

/** Size of a file that can be read; throws a sentence about any other. */
function sizeOf(path: string): number {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined || !found.isFile()) throw new Error(`${path} is no file; give the path of one with FILE=path`);
  return found.size;
}

/** Uploads the file; a refusal says the largest size that fits. */
async function upload(client: Client, path: string, size: number) {
  // Node's web streams and the client's type are the same at run time; their declarations differ.
  const body = Readable.toWeb(createReadStream(path)) as unknown as ReadableStream<Uint8Array>;
  const piece = await client.addPiece(MINER, body, size);
  printLine(`${path}: ${piece.sizeBytes} bytes, uploaded as piece ${piece.id}`);
  return piece.id;
}

/** Prints each transition of the job with its duration until it is finished; throws when it stops before that. */
async function watch(client: Client, job: string, stop: AbortSignal): Promise<void> {
  let since: number | undefined;
  for await (const event of client.follow(0, stop)) {
    if (event.job !== job) continue;
    since ??= event.atMs;
    if (event.kind === 'transition') {
      printLine(
        `${String(event.from).padEnd(20)} ${String(event.event).padEnd(18)} → ${String(event.to).padEnd(20)} ${seconds(event.atMs - since)}`,
      );
      since = event.atMs;
      if (event.to === 'Finished') return;
    }
    const stopped = event.kind === 'paused' || event.kind === 'aborted';
    if (stopped || event.kind === 'error') printLine(`  ${event.kind}: ${sentenceOf(event)}`);
    if (stopped) throw new Error(`the sector stopped in ${event.from ?? event.to}; see the logs in ${dataDir}`);
  }
  throw new Error('the stream of events ended before the sector was finished; run make demo again');
}

function sentenceOf({ detail }: JobEvent): string {
  return typeof detail['message'] === 'string' ? detail['message'] : JSON.stringify(detail);
}

/** Shows how far the running stage is until `stop`: on a terminal in one line, elsewhere in a line now and then. */
async function showRunning(client: Client, job: string, stop: AbortSignal): Promise<void> {
  let printedMs = Date.now();
  while (!stop.aborted) {
    const { attempts } = await client.sector(job);
    const running = attempts.find(({ status }) => status === 'running');
    if (running !== undefined && !stop.aborted) {
      const text = progressText(running.stage, running.fraction, running.secondsLeft, Date.now() - running.grantedMs);
      if (process.stdout.isTTY) showProgress(text);
      else if (Date.now() - printedMs > PRINT_MS) {
        printLine(`  ${text}`);
        printedMs = Date.now();
      }
    }
    await new Promise((resolve) => setTimeout(resolve, PROGRESS_MS));
  }
}

interface ChainLine {
  readonly cid: string;
  readonly method: number;
  readonly nonce: number;
  readonly epoch: number;
  readonly exitCode: number | null;
  readonly reason: string;
}

/** What the chain itself says of the sector's two messages. A message that did not succeed is an error. */
async function showChain(chainUrl: string, { job }: SectorDetail): Promise<void> {
  const text = await (await fetch(`${chainUrl}/messages`)).text();
  const lines = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as ChainLine);
  for (const [what, message] of [
    ['pre-commit', job.data.preCommit],
    ['prove-commit', job.data.proveCommit],
  ] as const) {
    const line = lines.find(({ cid }) => cid === message?.cid);
    if (line === undefined) throw new Error(`the chain does not have the ${what} message ${message?.cid}; see the logs in ${dataDir}`);
    const verdict = what === 'prove-commit' ? 'proof verified by the chain, ' : '';
    printLine(
      `  ${what.padEnd(12)} ${line.cid} method ${line.method} nonce ${line.nonce} epoch ${line.epoch}: ${line.exitCode === 0 ? verdict : ''}exit code ${line.exitCode}`,
    );
    if (line.exitCode !== 0) throw new Error(`the chain refused the ${what}: ${line.reason}`);
  }
}

function showFiles({ job }: SectorDetail): void {
  const { stored } = job.data;
  if (stored === undefined) throw new Error(`job ${job.id} is finished without stored files; see the logs in ${dataDir}`);
  printLine(`Final files, in ${stored.root}:`);
  for (const file of stored.files) printLine(`  ${file.path} (${statSync(join(stored.root, file.path)).size} bytes)`);
}

async function main(path: string | undefined): Promise<void> {
  const started = Date.now();
  const file = path === undefined ? undefined : { path, size: sizeOf(path) };
  printLine(`Starting sealpool dev; its data and logs are in ${dataDir}`);
  const dev = await startDev(root, dataDir);
  const over = new AbortController();
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort());
  try {
    const client = createClient({ baseUrl: dev.url, token: readFileSync(dev.tokenFile, 'utf8').trim() });
    const pieces = file === undefined ? {} : { pieces: [await upload(client, file.path, file.size)] };
    const { items } = await client.pledge({ plan: 'sealer', miner: MINER, count: 1, ...pieces });
    const job = items[0]?.id ?? '';
    printLine(`Queued job ${job} at ${dev.url}`);
    const shown = showRunning(client, job, over.signal).catch(() => undefined);
    await Promise.race([watch(client, job, interrupted.signal), dev.died]);
    over.abort();
    await shown;
    const detail = await client.sector(job);
    printLine(`\nSector ${detail.job.sector} is Finished after ${seconds(Date.now() - started)}. On the chain:`);
    await showChain(dev.chainUrl, detail);
    showFiles(detail);
  } catch (error) {
    if (interrupted.signal.aborted) throw new Error('interrupted; run make demo again, the sector goes on where it was', { cause: error });
    throw error;
  } finally {
    over.abort();
    await dev.end();
  }
}

try {
  await main(process.argv[2]);
} catch (error) {
  printLine(`demo: ${error instanceof ApiError ? error.problem.detail : (error as Error).message}`);
  process.exitCode = 1;
}
