/**
 * Plays a script: first with faults, then without them until everything rests, then with an operator of good
 * will, who resumes what is paused and at last gives up what still cannot go on. What is promised is checked
 * after every step and at each of these ends.
 */
import { createHash } from 'node:crypto';
import { nothingElse } from './collecting.ts';
import { nothingToSave } from './oracle-needless.ts';
import { alive, artifactKeys, cleared, ended, keptWhole, openEffects } from './oracle-end.ts';
import { PROVE_WITHIN } from './ledger.ts';
import { goes } from './oracle-kept.ts';
import { abort, act, resume } from './operator.ts';
import { pledgedOnce } from './oracle-pledged.ts';
import { mendStorage } from './storage-hand.ts';
import type { Item, Script } from './script.ts';
import { BEGIN_MS } from './clock.ts';
import { EPOCH_MS } from './fake-chain.ts';
import { BrokenPromise, World } from './world.ts';

/** Within so much virtual time after the last fault every job must have ended or wait for a person. */
export const LIVENESS_BOUND_MS = 3 * 3_600_000;
/** Longer than the control plane may think that a pre-commit lives (30 days and a little of the main network). */
const EXPIRY_MS = 32 * 86_400_000;
/** Parts of a pre-commit's life after which it is seen what has gone of what is kept for it. */
const LOOKED_AT = [0.1, 0.5, 0.95];
/** Within so much time after the end every honest runner would get work again. */
const FIT_WITHIN_MS = 10 * 60_000;
/** Steps without end are a loop. */
const MOST_STEPS = 60_000;

export type Outcome = {
  readonly seed: number;
  /** Undefined: every promise held. */
  readonly broken: string | undefined;
  readonly promise: string | undefined;
  readonly steps: number;
  readonly virtualMs: number;
  readonly cells: ReadonlyMap<string, number>;
  readonly finished: number;
  readonly aborted: number;
  /** SHA-256 of everything that was written down. */
  readonly log: string;
  readonly timeline: readonly string[] | undefined;
};

/** One world from begin to end. Never throws for what the world does: that is the outcome. */
export async function play(script: Script, path: string, withTimeline = false): Promise<Outcome> {
  const world = new World(script, path);
  if (withTimeline) world.timeline = [];
  world.objects.onDelete = (key) => goes(key, world, (promise, what) => world.breach(promise, what));
  // Such a one ends the process: a control plane in earnest would be down.
  const unhandled = (error: unknown): void =>
    world.breach('process', `a rejection was left unhandled: ${error instanceof Error ? error.stack : String(error)}`);
  process.on('unhandledRejection', unhandled);
  let broken: Error | undefined;
  let log = '';
  let counts = { finished: 0, aborted: 0 };
  try {
    await withFaults(world);
    await withoutFaults(world);
    await withGoodWill(world);
    counts = {
      finished: world.reader.jobs().filter(({ state }) => state === 'Finished').length,
      aborted: world.reader.jobs().filter(({ state }) => state === 'Aborted').length,
    };
  } catch (error) {
    broken = error as Error;
    if (!(error instanceof BrokenPromise)) world.note(`the simulator failed: ${broken.stack}`);
    else world.note(`BROKEN ${broken.message}`);
  } finally {
    process.off('unhandledRejection', unhandled);
    log = digest(world);
    world.close();
  }
  return {
    seed: script.seed,
    broken: broken === undefined ? undefined : broken instanceof BrokenPromise ? broken.message : `simulator: ${broken.stack}`,
    promise: broken === undefined ? undefined : broken instanceof BrokenPromise ? broken.promise : 'simulator',
    steps: world.clock.steps,
    virtualMs: world.clock.nowMs - BEGIN_MS - world.clock.stalledMs,
    cells: world.coverage.cells,
    ...counts,
    log,
    timeline: world.timeline,
  };
}

/** Steps until `done`, or until `untilMs` has come. */
async function advance(world: World, untilMs: number, done: () => boolean): Promise<boolean> {
  const { clock } = world;
  for (;;) {
    await clock.rest();
    world.observe();
    if (done()) return true;
    if (clock.nowMs >= untilMs) return false;
    if (clock.steps > MOST_STEPS) throw new BrokenPromise('liveness', `${MOST_STEPS} steps and no end`);
    if (!clock.fire()) throw new BrokenPromise('liveness', 'nothing will ever happen again');
  }
}

async function withFaults(world: World): Promise<void> {
  const { script, clock } = world;
  let open = script.items.length;
  const begin = (item: Item): void => {
    // A long stall may have carried the story past its end.
    if (world.healed) return;
    void act(world, item)
      .catch((error: Error) => world.note(`${item.do}: ${error.message}`))
      .finally(() => (open -= 1));
  };
  const waiting = new Set(script.items.filter(({ when }) => 'state' in when));
  for (const item of script.items) if ('atMs' in item.when) clock.at(item.when.atMs, () => begin(item));
  world.onState = (job) => {
    if (world.healed) return;
    for (const item of waiting) {
      const { when } = item;
      if (!('state' in when) || when.job !== job.index || when.state !== job.state) continue;
      waiting.delete(item);
      clock.at(when.afterMs, () => begin(item));
    }
  };
  await world.begin();
  // What waits for a state that never comes does not hold up the end.
  const quiet = (): boolean => open <= waiting.size && world.resting();
  await advance(world, BEGIN_MS + script.faultsMs, quiet);
}

async function withoutFaults(world: World): Promise<void> {
  world.note('-- no more faults');
  world.healed = true;
  world.faults.clear();
  world.chain.calm((cid) => world.reader.jobOfMessage(cid) !== undefined);
  world.stageFaults.length = 0;
  // A stage that hangs for ever hangs until its machine is started anew.
  for (const member of world.fleet.members) {
    for (const thief of member.thieves) thief.die();
    member.testing = 'right';
    if (member.process?.alive === true) world.fleet.boot(member);
    if (member.process !== undefined) Object.assign(member.process, { frozenUntilMs: 0, cutUntilMs: 0 });
  }
  world.fleet.join('own', 4);
  await advance(world, world.clock.nowMs + 60_000, () => world.plane?.ready === true);
  await inTime(world, world.fleet.readmit());
  await inTime(world, mendStorage(world));
  await settle(world);
}

const open = ({ reader, disks }: World): boolean => openEffects(reader, disks).length > 0;

async function settle(world: World): Promise<void> {
  await advance(world, world.clock.nowMs + LIVENESS_BOUND_MS, () => world.resting());
  alive(world.reader, world.history, (promise, what) => world.breach(promise, what));
  world.check();
}

async function withGoodWill(world: World): Promise<void> {
  for (let round = 0; round < 2; round += 1) {
    const paused = world.reader.jobs().filter(({ state, paused }) => !ended(state) && paused === 1);
    if (paused.length === 0) break;
    world.note('-- the operator resumes what is paused');
    // As the error says.
    for (const { id, error_code } of paused) {
      const state = error_code === 'ticket_expired' ? 'TreeDBuilt' : undefined;
      await inTime(world, resume(world, indexOf(world, id), { state, force: true }));
    }
    await settle(world);
  }
  const left = (): string[] =>
    world.reader
      .jobs()
      .filter(({ state }) => !ended(state))
      .map(({ id }) => id);
  if (left().length > 0) world.note('-- the operator gives up what is left');
  nothingToSave(world.reader, world.chain, world.struck, (promise, what) => world.breach(promise, what));
  for (const id of left()) {
    const job = await inTime(world, abort(world, indexOf(world, id), { force: true }));
    if (job === undefined) throw new BrokenPromise('abort', `${id} cannot be given up, not even with force`);
  }
  // Deletions, and messages that are out, still run their course.
  // What a forced abort kept goes once its pre-commit has expired.
  if (open(world)) await advance(world, world.clock.nowMs + 60_000, () => !open(world));
  await storageRests(world);
  keptWhole(world, (promise, what) => world.breach(promise, what));
  if (open(world)) await untilExpired(world);
  const idle = (): boolean => world.chain.mempool().length === 0 && !open(world);
  await advance(world, world.clock.nowMs + LIVENESS_BOUND_MS, idle);
  // Whoever still holds an open grant gives it back.
  if (!(await advance(world, world.clock.nowMs + 60_000, () => world.handsEmpty())))
    world.breach('liveness', 'a runner still holds a grant that is over, or what an attempt left is not tidied up');
  // A receiver that failed is tried again after minutes.
  await advance(world, world.clock.nowMs + LIVENESS_BOUND_MS, () => world.posted);
  world.checkPosted();
  await advance(world, world.clock.nowMs + FIT_WITHIN_MS, () => world.fleet.unfit() === undefined);
  const unfit = world.fleet.unfit();
  if (unfit !== undefined) world.breach('liveness', unfit);
  // What no job needs any more they are told to forget.
  const needed = new Set(world.reader.jobs().flatMap((job) => artifactKeys(world.reader, job)));
  await advance(world, world.clock.nowMs + FIT_WITHIN_MS, () => world.fleet.hoards(needed) === undefined);
  const hoard = world.fleet.hoards(needed);
  if (hoard !== undefined) world.breach('caches', hoard);
  // Files are looked through every now and then: that came by meanwhile.
  await advance(world, world.clock.nowMs + 60_000, idle);
  world.storedOracle.end(world.reader);
  pledgedOnce(world, (promise, what) => world.breach(promise, what));
  const wanted = cleared(world, (promise, what) => world.breach(promise, what));
  await collectLast(world, wanted);
  world.check();
}

/** Time goes by until every pre-commit has expired. */
async function untilExpired(world: World): Promise<void> {
  const { clock } = world;
  const begunMs = clock.nowMs;
  for (const part of LOOKED_AT) {
    clock.stall(begunMs + part * PROVE_WITHIN * EPOCH_MS - clock.nowMs);
    await advance(world, clock.nowMs + 20_000, () => !open(world));
  }
  clock.stall(EXPIRY_MS);
}

/** What is drained is empty in the end, every step was done and answered, and whoever is told was told. */
async function storageRests(world: World): Promise<void> {
  if (!world.disks.told) return;
  const { reader, storedOracle, fleet } = world;
  const rests = (): boolean => storedOracle.undrained(reader) === undefined && fleet.errandsDone();
  await advance(world, world.clock.nowMs + LIVENESS_BOUND_MS, rests);
  const left = storedOracle.undrained(reader);
  if (left !== undefined) world.breach('liveness', left);
  if (open(world)) await advance(world, world.clock.nowMs + 60_000, () => !open(world));
  world.check();
}

/** What a last collection leaves is what jobs keep; a look after it finds nothing. */
async function collectLast(world: World, wanted: ReadonlySet<string>): Promise<void> {
  const { plane } = world;
  if (plane === undefined) return;
  await advance(world, world.clock.nowMs + 1_000, () => false);
  await inTime(world, plane.collect(true));
  await advance(world, world.clock.nowMs + LIVENESS_BOUND_MS, () => !open(world));
  nothingElse(world.objects, wanted, (promise, what) => world.breach(promise, what));
  const { items } = await inTime(world, plane.collect(false));
  for (const { key, reason } of items) world.breach('garbage', `${key} is called garbage (${reason}) right after a collection`);
}

const indexOf = (world: World, id: string): number => world.history.jobs.get(id)?.index ?? -1;

/** Waits for an operation while time goes on. */
async function inTime<T>(world: World, work: Promise<T>): Promise<T> {
  let over = false;
  void work.finally(() => (over = true)).catch(() => undefined);
  await advance(world, world.clock.nowMs + 60_000, () => over);
  return work;
}

function digest(world: World): string {
  const hash = createHash('sha256');
  if (world.reader === undefined) return '';
  const { reader } = world;
  for (const part of [reader.events(0), reader.effects(), reader.attempts(), reader.records()]) hash.update(JSON.stringify(part));
  hash.update(JSON.stringify(world.chain.pushes.map(({ sent, atMs }) => [sent.message.cid, atMs])));
  return hash.digest('hex');
}
