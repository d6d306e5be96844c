/** Garbage collection in the simulator: it runs all the time, over stale listings, and nothing that lives is ever collected. */
import type { Door } from '../../src/api/door.ts';
import { type Collector, openCollector } from '../../src/effects/collector.ts';
import type { Context } from '../../src/scheduler/context.ts';
import { collect, collectingHeld, judge } from '../../src/scheduler/garbage.ts';
import type { VirtualClock } from './clock.ts';
import type { FakeObjects } from './fake-objects.ts';
import { Rng } from './prng.ts';
import type { Reader } from './reader.ts';
import { StaleListing } from './stale-listing.ts';

const LEAST_WAIT_MS = 5_000;
const MOST_WAIT_MS = 10 * 60_000;
/** Younger objects are safe without any grace: then nothing hides behind it. */
const WHILE_IT_RUNS = { graceMs: 0, uploadAgeMs: 30 * 60_000 };

type Parts = { readonly door: Door; readonly objects: FakeObjects; readonly clock: VirtualClock };

/** Collects until `ending`. */
export async function collecting({ door, objects, clock }: Parts, ending: AbortSignal): Promise<void> {
  const listing = new StaleListing(objects, clock);
  const rng = new Rng(clock.nowMs + 1);
  const collector = openCollector<Context>({
    door,
    objects: listing.port(false),
    engine: { judge, collect, collectingHeld },
    rules: WHILE_IT_RUNS,
  });
  while (!ending.aborted) {
    await clock.nap(rng.between(LEAST_WAIT_MS, MOST_WAIT_MS), ending);
    // A database that is full, or ends.
    if (!ending.aborted) await collector({ remove: true, unknown: false, resume: true }).catch(() => undefined);
  }
}

/** For the end: over what is really there, and with all that nobody knows. */
export function lastCollector({ door, objects, clock }: Parts): Collector {
  const listing = new StaleListing(objects, clock);
  const rules = { graceMs: 0, uploadAgeMs: 1 };
  return openCollector<Context>({ door, objects: listing.port(true), engine: { judge, collect, collectingHeld }, rules });
}

type Data = { readonly artifacts: Record<string, { key: string }>; readonly pieces: { key: string }[] };
type Broken = (promise: string, what: string) => void;

/** What was ever collected is needed by nobody: not then, and not later. Read with statements of its own. */
export function collectedIsDead(reader: Reader, broken: Broken): void {
  const { objects, uploads } = reader.collected();
  if (objects.length + uploads.length === 0) return;
  // An upload that was opened twice goes although a job needs the object that came of the other one.
  const collected = new Set(objects);
  const needs = (key: string, who: string): void => {
    if (collected.has(key)) broken('garbage', `${key} was collected, and ${who} needs it`);
  };
  const gone = new Set(reader.effects().flatMap(({ step, status, job }) => (step === 'DeleteKept' && status === 'done' ? [job] : [])));
  for (const job of reader.jobs()) {
    const { id, state } = job;
    // What a forced abort kept was deleted when its pre-commit had expired; an old listing may show it once more.
    const over = state === 'Finished' || (state === 'Aborted' && gone.has(id));
    if (over) continue;
    const { artifacts, pieces } = reader.dataOf<Data>(job);
    for (const { key } of Object.values(artifacts)) needs(key, `${id} in ${state}`);
    if (state !== 'Aborted') for (const { key } of pieces) needs(key, `${id} in ${state}`);
  }
  for (const { key } of reader.waitingPieces()) needs(key, 'whoever takes that piece next');
  const running = new Set(reader.running().map(({ id }) => id));
  for (const key of uploads) collected.add(key);
  for (const { attempt, key } of reader.uploads()) if (running.has(attempt)) needs(key, `attempt ${attempt}`);
}

/** After the end and a last collection: nothing but what a job keeps, and no upload that is open. */
export function nothingElse(objects: FakeObjects, wanted: ReadonlySet<string>, broken: Broken): void {
  for (const key of objects.objects.keys()) if (!wanted.has(key)) broken('garbage', `${key} is still there after a collection`);
  for (const { key, state } of objects.uploads.values()) if (state === 'open') broken('garbage', `an upload to ${key} is still open`);
}
