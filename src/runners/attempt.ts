/** One grant from its inputs to its report. */
import { join } from 'node:path';
import type { z } from 'zod';
import { partCount } from '../schema/manifest.ts';
import type { Grant, Report, ReportedOutput } from '../schema/runner.ts';
import type { ArtifactCache } from './artifact-cache.ts';
import { checkStored } from './check-stored.ts';
import { EarlyOutputs } from './early-outputs.ts';
import { StageFailure, asFailure } from './failure.ts';
import { FreshUrls } from './fresh-urls.ts';
import { type Fetching, fetchAnew, fetchInputs } from './inputs.ts';
import type { KeptDownloads } from './kept-downloads.ts';
import type { Log, StorageRoot } from './options.ts';
import { persist } from './persist.ts';
import { Progress } from './progress.ts';
import { type Provers, prove } from './prove.ts';
import { publish } from './publish.ts';
import type { StorageWatch } from './storage-paths.ts';
import type { TransferOptions } from './transfer-errors.ts';
import { dropWorkFolder, makeWorkFolder, workFolder } from './work-folders.ts';

const MAX_MESSAGE_CHARS = 1_900;

/** What an attempt needs of its agent. */
export type AttemptContext = Provers & {
  readonly dataDir: string;
  readonly storage: readonly StorageRoot[];
  readonly watch: StorageWatch;
  readonly patienceMs: number;
  readonly sendPatienceMs: number;
  /** How long the control plane has not answered. */
  readonly silentMs: () => number;
  readonly log: Log;
  readonly downloads: KeptDownloads;
  /** Inputs and outputs of stages that end well stay there. */
  readonly cache?: ArtifactCache | undefined;
  /** Called when an attempt that goes on has something to tell. */
  readonly tell?: (() => void) | undefined;
  /** Sends a heartbeat as soon as it can: an attempt needs an answer. */
  readonly beatSoon: () => void;
};

/** Why an attempt is stopped: it was taken away (no report), or the agent ends (reported `interrupted`). */
export class Stopped extends Error {
  readonly why: 'cancelled' | 'interrupted';

  constructor(why: 'cancelled' | 'interrupted', message: string) {
    super(message);
    this.why = why;
  }
}

/** What every line of the log about a grant says: the request id is the one that the control plane's own lines have. */
export function aboutGrant({ requestId, sector, attempt, epoch, stage }: Grant): Record<string, unknown> {
  return { ...(requestId === undefined ? {} : { requestId }), ...(sector === undefined ? {} : { sector }), attempt, epoch, stage };
}

/** A grant being worked on. Its report is there once `ended` has settled; none when it was cancelled. */
export class RunningAttempt {
  readonly grant: Grant;
  readonly progress = new Progress();
  readonly ended: Promise<void>;
  readonly urls: FreshUrls;
  /** What to tell the control plane, kept until it has answered. */
  report: Report | undefined;
  /** The stage program has ended well, and its outputs are on their way. */
  sending = false;
  /** Outputs that are sent while the stage goes on. */
  early: EarlyOutputs | undefined;
  readonly #stop = new AbortController();

  constructor(grant: Grant, context: AttemptContext) {
    this.grant = grant;
    const partsOf = (name: string): number => {
      const slot = grant.outputs.find((one) => one.name === name);
      return slot === undefined ? 0 : partCount(Number(slot.maxSizeBytes), slot.partSizeBytes);
    };
    this.urls = new FreshUrls(grant.urlTtlMs, context.beatSoon, partsOf);
    this.ended = this.#run(context);
  }

  /** Ends the stage; `ended` settles when no process of it is left and its folder is gone. */
  stop(why: 'cancelled' | 'interrupted', message: string): void {
    this.#stop.abort(new Stopped(why, message));
  }

  async #run(context: AttemptContext): Promise<void> {
    const { grant } = this;
    const fields = { attempt: grant.attempt, epoch: grant.epoch };
    const startedMs = Date.now();
    const about = aboutGrant(grant);
    context.log('info', 'stage begins', about);
    try {
      const { outputs, result } = await this.#inFolder(context);
      this.report = { outcome: 'done', ...fields, outputs, result };
      context.log('info', 'stage done', { ...about, durationMs: Date.now() - startedMs });
    } catch (error) {
      const stopped: unknown = this.#stop.signal.reason;
      if (stopped instanceof Stopped) {
        context.log('warn', `stage ${stopped.why}: ${stopped.message}`, about);
        if (stopped.why === 'interrupted') this.report = { outcome: 'failed', ...fields, code: 'interrupted', message: stopped.message };
        return;
      }
      const { code, message, input } = asFailure(error, 'out_of_disk');
      context.log('error', `stage failed: ${message}`, { ...about, code });
      const blame = input === undefined ? {} : { input: input.slice(0, 100) };
      this.report = { outcome: 'failed', ...fields, code, message: message.slice(0, MAX_MESSAGE_CHARS), ...blame };
    }
  }

  async #inFolder(context: AttemptContext): Promise<{ outputs: z.infer<typeof ReportedOutput>[]; result: Record<string, unknown> }> {
    const workDir = workFolder(context.dataDir, this.grant.attempt);
    try {
      await makeWorkFolder(workDir);
      return await this.#work(context, workDir);
    } finally {
      // A folder that does not go now goes at the next start; it is no reason to lose a result.
      await dropWorkFolder(workDir).catch((error: unknown) =>
        context.log('error', `cannot remove ${workDir}: ${String(error)}`, aboutGrant(this.grant)),
      );
    }
  }

  async #work(
    context: AttemptContext,
    workDir: string,
  ): Promise<{ outputs: z.infer<typeof ReportedOutput>[]; result: Record<string, unknown> }> {
    const { grant, progress } = this;
    const { signal } = this.#stop;
    const { patienceMs, sendPatienceMs, silentMs, downloads, cache, log } = context;
    const onMoved = (bytes: number): void => progress.moved(bytes);
    const reachable = (): boolean => silentMs() < grant.leaseMs;
    const transfer: TransferOptions = { signal, patienceMs, reachable, onMoved, urls: this.urls };
    const about = aboutGrant(grant);
    const { work } = grant;
    const fetching: Fetching = { grant, workDir, downloads, cache, progress, transfer, log, about };
    const cached = await fetchInputs(fetching);
    switch (work.kind) {
      case 'persist': {
        const { storage: roots, watch } = context;
        const run = () => persist({ grant, work, workDir, roots, watch, progress, signal });
        return { outputs: [], result: await withGoodInputs(fetching, cached, run) };
      }
      case 'check-stored':
        return { outputs: [], result: await checkStored(work, context, progress, signal) };
      case 'publish':
        return {
          outputs: await publish({
            grant,
            work,
            workDir,
            watch: context.watch,
            roots: context.storage,
            progress,
            transfer: { ...transfer, patienceMs: sendPatienceMs },
          }),
          result: {},
        };
      case 'prover': {
        const parts = { grant, outDir: join(workDir, 'out'), cache, transfer, sendPatienceMs, log, about, tell: () => context.tell?.() };
        const early = new EarlyOutputs(parts);
        this.early = early;
        progress.onOutput = (output) => early.heard(output);
        try {
          const run = () => prove(context, { grant, work, workDir, progress, signal });
          const { outputs: made, result, processor } = await withGoodInputs(fetching, cached, run);
          // The end of its log is told while its outputs are sent.
          context.beatSoon();
          log('info', 'the stage program ended well', processor === undefined ? about : { ...about, processor });
          this.sending = true;
          const outputs = await early.sendAll(made, (name) => progress.note(`sending ${name}`));
          for (const { key, name } of grant.inputs)
            if (key !== undefined && !cached.has(name)) await cache?.keep(key, join(workDir, 'in', name));
          return { outputs, result };
        } finally {
          await early.close();
        }
      }
      default:
        throw new StageFailure('bad_request', 'this runner does not know the kind of work that was granted; update the runner');
    }
  }
}

/** A damaged file of the cache is no fault of whoever made it: it is fetched, and the stage runs once more. */
async function withGoodInputs<T>(fetching: Fetching, cached: Set<string>, run: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await run();
    } catch (error) {
      if (!(error instanceof StageFailure) || error.code !== 'input_differs' || error.input === undefined) throw error;
      if (!cached.delete(error.input)) throw error;
      await fetchAnew(fetching, error.input);
    }
  }
}
