/** One job of the demo: queued, shown as it happens, and what came of it. */
import type { Client, SectorDetail } from '../../src/api/client.ts';
import type { Event } from '../../src/schema/event.ts';
import type { DevProcess } from './dev-process.ts';
import { printLine, progressText, seconds, showProgress } from './progress-line.ts';

const PROGRESS_MS = 500;
/** Where stdout is no terminal. */
const PRINT_MS = 10_000;

export interface Demo {
  readonly client: Client;
  readonly dev: DevProcess;
  readonly dataDir: string;
  readonly interrupted: AbortSignal;
}

/** Queues one job and shows it until it is Finished. Throws when it stops before that. */
export async function run(demo: Demo, request: Parameters<Client['pledge']>[0]): Promise<SectorDetail> {
  const { client, dev, interrupted } = demo;
  const { items } = await client.pledge(request);
  const job = items[0]?.id ?? '';
  printLine(`Queued job ${job} (${request.plan}) at ${dev.url}`);
  const over = new AbortController();
  const shown = showRunning(client, job, over.signal).catch(() => undefined);
  try {
    await Promise.race([watch(demo, job, AbortSignal.any([interrupted, over.signal])), dev.died]);
  } finally {
    over.abort();
    await shown;
  }
  return client.sector(job);
}

/** Prints each transition of the job with its duration until it is finished. */
async function watch({ client, dataDir }: Demo, job: string, stop: AbortSignal): Promise<void> {
  let since: number | undefined;
  for await (const event of client.follow({ sector: job, signal: stop })) {
    since ??= event.atMs;
    if (event.kind === 'transition') {
      printLine(
        `${String(event.from).padEnd(20)} ${String(event.event).padEnd(22)} → ${String(event.to).padEnd(20)} ${seconds(event.atMs - since)}`,
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

function sentenceOf({ detail }: Event): string {
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

/** What the chain itself says of the job's messages. A message that did not succeed is an error. */
export async function showChain({ dev, dataDir }: Demo, { job }: SectorDetail): Promise<void> {
  const text = await (await fetch(`${dev.chainUrl}/messages`)).text();
  const lines = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as ChainLine);
  const messages = [
    ['pre-commit', job.data.preCommit],
    ['prove-commit', job.data.proveCommit],
    ['update', job.data.replicaUpdate],
  ] as const;
  for (const [what, message] of messages) {
    if (message === undefined) continue;
    const line = lines.find(({ cid }) => cid === message.cid);
    if (line === undefined) throw new Error(`the chain does not have the ${what} message ${message.cid}; see the logs in ${dataDir}`);
    const verdict = what === 'pre-commit' ? '' : 'proof verified by the chain, ';
    printLine(
      `  ${what.padEnd(12)} ${line.cid} method ${line.method} nonce ${line.nonce} epoch ${line.epoch}: ${line.exitCode === 0 ? verdict : ''}exit code ${line.exitCode}`,
    );
    if (line.exitCode !== 0) throw new Error(`the chain refused the ${what}: ${line.reason}`);
  }
}
