/** The control plane's clockwork on Node: one loop for what time brings about. */
import type { Logger } from 'pino';
import type { Door } from '../api/door.ts';
import type { Collector } from '../effects/collector.ts';
import { forgetAnswers } from '../scheduler/answers.ts';
import { tick } from '../scheduler/tick.ts';
import { sleep } from './machine.ts';

/** A tick that finds nothing costs a fraction of a millisecond; what is due is late by at most this. */
const MOST_WAIT_MS = 500;
/** What is due already is under way elsewhere (an effect being performed): no reason to spin. */
const LEAST_WAIT_MS = 200;

/** Runners that cannot get through are given no more than this: somebody may open connections for ever. */
const MOST_CROWDED_MS = 180_000;

export type TickClock = {
  readonly elapsedMs: () => number;
  /** For how long connections have had to wait without a break. */
  readonly crowdedMs: () => number;
};

/**
 * Ticks until `ending`, and says how late each one is, or how long runners could not get through; a failed tick is logged and
 * tried again.
 */
export async function runTicks(door: Door, log: Logger, ending: AbortSignal, { elapsedMs, crowdedMs }: TickClock): Promise<void> {
  let waitMs = 0;
  let lastMs = elapsedMs();
  /** Of the time that connections have waited now, what leases were given for already. */
  let givenMs = 0;
  while (!ending.aborted) {
    try {
      waitMs = await door.run((ctx) => {
        // Measured where it is done: what stood before it in the queue held up heartbeats as well.
        const atMs = elapsedMs();
        const lateMs = Math.max(0, atMs - lastMs - waitMs);
        lastMs = atMs;
        const crowded = Math.min(MOST_CROWDED_MS, crowdedMs());
        if (crowded < givenMs) givenMs = 0;
        const done = tick(ctx, Math.floor(Math.max(lateMs, crowded - givenMs)));
        if (done.extended) givenMs = crowded;
        return done.wakeAtMs - ctx.nowMs;
      });
    } catch (error) {
      log.error({ err: error }, 'a tick failed');
      waitMs = MOST_WAIT_MS;
    }
    waitMs = Math.min(Math.max(waitMs, LEAST_WAIT_MS), MOST_WAIT_MS);
    await sleep(waitMs, ending);
  }
}

const SWEEP_EVERY_MS = 6 * 60 * 60 * 1000;

/** Drops uploads that nobody finished, several times a day until `ending`. The store sweeps once itself when it opens. */
export async function runSweeps(objects: { sweep(): Promise<void> }, log: Logger, ending: AbortSignal): Promise<void> {
  for (;;) {
    await sleep(SWEEP_EVERY_MS, ending);
    if (ending.aborted) return;
    await objects.sweep().catch((error: unknown) => log.error({ err: error }, 'sweeping dead uploads failed'));
  }
}

/** A process that is started anew every hour still gets to it. */
const FIRST_COLLECTION_MS = 10 * 60 * 1000;

/** Removes what no job needs from object storage, every `everyMs` until `ending`; 0: never. */
export async function runCollections(collector: Collector, everyMs: number, log: Logger, ending: AbortSignal): Promise<void> {
  for (let waitMs = Math.min(everyMs, FIRST_COLLECTION_MS); everyMs > 0; waitMs = everyMs) {
    await sleep(waitMs, ending);
    if (ending.aborted) return;
    try {
      const { objects, uploads, unknown, listed, held } = await collector({ remove: true, unknown: false, resume: true });
      log.info({ objects, uploads, unknown, listed, held }, 'object storage was looked through for what no job needs');
    } catch (error) {
      log.error({ err: error }, 'object storage could not be looked through; it is done again later');
    }
  }
}

const FORGET_EVERY_MS = 10 * 60 * 1000;

/** Drops rows that nobody asks for any more, in small batches with turns of others between them, until `ending`. */
export async function runForgetting(door: Door, log: Logger, ending: AbortSignal): Promise<void> {
  while (!ending.aborted) {
    try {
      while (!ending.aborted && (await door.run((ctx) => forgetAnswers(ctx))));
    } catch (error) {
      log.error({ err: error }, 'dropping old answers failed');
    }
    await sleep(FORGET_EVERY_MS, ending);
  }
}
