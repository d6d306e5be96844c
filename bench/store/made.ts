/** One sector with all that a database keeps of it, of the shape and size that 32 GiB sectors leave behind. */
import type { Ids } from '../../src/scheduler/ports.ts';
import type { EffectRow, EffectWant } from '../../src/scheduler/effects.ts';
import type { NewEvent } from '../../src/schema/event.ts';
import { PLANS } from '../../src/scheduler/plans/all.ts';
import { commitmentOfHex } from '../../src/schema/commitment-cid.ts';
import type { AttemptId, EffectId, JobId, RunnerId } from '../../src/schema/ids.ts';
import { type Attempt, Job, type JobData, type JobError, type PlanName, type Waiting } from '../../src/schema/job.ts';
import { SectorRecord } from '../../src/schema/sector-record.ts';
import type { Stage } from '../../src/schema/stage.ts';
import type { Fate } from './mix.ts';

/** Rows of one sector, ready to be inserted. */
export interface MadeSector {
  readonly job: Job;
  readonly record: SectorRecord | undefined;
  readonly events: readonly NewEvent[];
  readonly attempts: readonly Attempt[];
  readonly effects: readonly EffectRow[];
}

const DAY_MS = 86_400_000;
const SECTOR_BYTES = '34359738368';
const STAGE_OF: Readonly<Record<string, Stage>> = {
  AddPiece: 'AddPiece',
  BuildTreeD: 'BuildTreeD',
  PC1: 'PC1',
  PC2: 'PC2',
  Persist: 'Persist',
  SubmitPersistance: 'Verify',
  C1: 'C1',
  C2: 'C2',
  SnapEncode: 'SnapEncode',
  SnapProve: 'SnapProve',
  CheckSealed: 'CheckSealed',
  UnsealDone: 'Unseal',
};
const EFFECT_OF: Readonly<Record<string, EffectWant['kind']>> = {
  AcquireDeals: 'number',
  AssignTicket: 'ticket',
  SubmitPC: 'message',
  CheckPC: 'landed',
  AssignSeed: 'seed',
  SubmitProof: 'message',
  Finish: 'landed',
  AllocatedSnapUpSector: 'sector',
};

/** The straight way through a plan: `[state, event]` of each step, in order. */
function steps(plan: PlanName): [string, string][] {
  const { order, table } = PLANS[plan];
  return order.flatMap((state, at): [string, string][] => {
    const event = Object.entries(table[state] ?? {}).find(([, to]) => order.indexOf(to) > at)?.[0];
    return event === undefined ? [] : [[state, event]];
  });
}

/** Makes rows; `ids` gives ids and hexadecimal digits, so that a seeded one makes the same database again. */
export function makeSector(ids: Ids, fate: Fate, runners: readonly RunnerId[], nowMs: number): MadeSector {
  const { plan, miner, number, state } = fate;
  const id = ids.next('j') as JobId;
  const way = steps(plan);
  const reached = state === 'Finished' ? way.length : fate.step;
  const startMs = nowMs - fate.ageDays * DAY_MS;
  const atMs = (step: number): number => Math.round(startMs + step * 1_800_000);
  const at = { id, runners, ids, way, reached, atMs, nowMs, fate };
  const attempts = attemptsOf(at);
  const effects = effectsOf(at);
  const job: Job = {
    id,
    plan,
    miner,
    number: reached === 0 && state !== 'Finished' ? null : number,
    state,
    generation: 1,
    paused: fate.error !== null,
    error: fate.error === null ? null : errorOf(fate.error, atMs(reached)),
    retries: 0,
    waiting: waitingOf(fate, attempts, effects, atMs(reached), nowMs),
    thread: fate.thread,
    reserved: null,
    createdMs: startMs,
    updatedMs: atMs(reached),
    data: dataOf(ids, fate, way, reached),
  };
  return { job, record: state === 'Finished' ? recordOf(job, ids) : undefined, events: eventsOf(at, attempts), attempts, effects };
}

interface Place {
  readonly id: JobId;
  readonly runners: readonly RunnerId[];
  readonly ids: Ids;
  readonly way: readonly [string, string][];
  readonly reached: number;
  readonly atMs: (step: number) => number;
  readonly nowMs: number;
  readonly fate: Fate;
}

const errorOf = (code: string, atMs: number): JobError => ({
  category: code === 'comm_r_differs' ? 'critical' : 'permanent',
  code,
  message: `${code.replaceAll('_', ' ')}: what stands against it, in a sentence of usual length that names the sector, the stage and the numbers; then what to do about it, and the command`,
  atMs,
});

function waitingOf(fate: Fate, attempts: readonly Attempt[], effects: readonly EffectRow[], sinceMs: number, nowMs: number): Waiting {
  if (fate.state === 'Finished' || fate.state === 'Aborted') return { for: 'nothing' };
  if (fate.error !== null) return { for: 'operator' };
  if (fate.thread === null) return { for: 'thread' };
  const running = attempts.find(({ status }) => status === 'running');
  if (running !== undefined) return { for: 'stage', stage: running.stage, attempt: running.id };
  const open = effects.find(({ status }) => status === 'open');
  if (open !== undefined) return { for: 'effect', effect: open.id };
  return fate.stage === undefined ? { for: 'retry', untilMs: nowMs + DAY_MS } : { for: 'runner', stage: fate.stage, sinceMs };
}

function attemptsOf({ id, runners, ids, way, reached, atMs, nowMs, fate }: Place): Attempt[] {
  const done = way.slice(0, reached).flatMap(([state, event], step) => {
    const stage = STAGE_OF[event];
    return stage === undefined ? [] : [{ state, stage, step }];
  });
  const open = fate.running && fate.stage !== undefined ? [{ state: fate.state, stage: fate.stage, step: reached }] : [];
  return [...done, ...open].map(({ state, stage, step }): Attempt => {
    const over = step < reached;
    return {
      id: ids.next('a') as AttemptId,
      job: id,
      stage,
      state,
      generation: 1,
      epoch: 1,
      runner: runners[step % runners.length] as RunnerId,
      status: over ? 'done' : 'running',
      leaseUntilMs: over ? atMs(step) + 20_000 : nowMs + DAY_MS,
      grantedMs: atMs(step),
      endedMs: over ? atMs(step + 1) : null,
      progressMs: over ? atMs(step + 1) : atMs(step),
      dueMs: over ? atMs(step + 1) : nowMs + DAY_MS,
      fraction: over ? 1 : 0.4,
      secondsLeft: over ? 0 : 600,
      note: null,
      logTail: `${stage}: ${ids.hex(160)}\n`,
      failure: null,
      request: ids.hex(8),
    };
  });
}

function wantOf(kind: EffectWant['kind'], { miner, number }: Fate, ids: Ids): EffectWant {
  if (kind === 'landed') return { kind, miner, number, message: `bafy2bzace${ids.hex(26)}`, what: 'preCommit', commR: ids.hex(32) };
  if (kind !== 'message') return { kind, miner, number } as EffectWant;
  const commR = commitmentOfHex('sealed', ids.hex(32)).cid;
  const message = { method: 'PreCommitSectorBatch2', miner, number, sealProof: 8, commR, commD: null, ticketEpoch: 5 } as const;
  return { kind, message };
}

function effectsOf({ id, ids, way, reached, atMs, nowMs, fate }: Place): EffectRow[] {
  const row = (step: string, want: EffectWant, status: EffectRow['status'], atStep: number, dueMs: number): EffectRow => ({
    id: ids.next('e') as EffectId,
    job: id,
    step,
    generation: 1,
    try: 1,
    want,
    status,
    request: null,
    signed:
      want.kind === 'message'
        ? {
            sender: `${fate.miner}-worker`,
            nonce: fate.nonce + atStep,
            cid: `bafy2bzace${ids.hex(26)}`,
            signed: JSON.stringify(ids.hex(500)),
            pushed: true,
          }
        : null,
    dueMs,
    failures: 0,
    lastError: null,
    createdMs: atMs(atStep),
  });
  const done = way.slice(0, reached).flatMap(([, event], step) => {
    const kind = EFFECT_OF[event];
    return kind === undefined ? [] : [row(event, wantOf(kind, fate, ids), 'done', step, atMs(step))];
  });
  // A deletion that waits until a pre-commit has expired, weeks from now.
  const late = fate.deletesLate
    ? [row('Delete', { kind: 'delete', keys: [`j/${ids.hex(12)}`] }, 'open', reached, nowMs + 30 * DAY_MS)]
    : [];
  const gone =
    fate.state === 'Finished'
      ? [row('Delete', { kind: 'delete', keys: Array.from({ length: 24 }, () => `j/${ids.hex(16)}`) }, 'done', reached, atMs(reached))]
      : [];
  // The seed of a pre-commit: due when its epoch comes.
  const seed = fate.waitsForSeed
    ? [row('AssignSeed', { kind: 'seed', miner: fate.miner, number: fate.number }, 'open', reached, nowMs + DAY_MS)]
    : [];
  return [...done, ...gone, ...late, ...seed];
}

function eventsOf({ id, way, reached, atMs, fate, ids }: Place, attempts: readonly Attempt[]): NewEvent[] {
  const event = (change: Partial<NewEvent> & Pick<NewEvent, 'kind' | 'atMs'>): NewEvent => ({
    job: id,
    miner: fate.miner,
    runner: null,
    generation: 1,
    actor: 'engine',
    from: null,
    to: null,
    event: null,
    detail: {},
    request: ids.hex(8),
    ...change,
  });
  const moves = way
    .slice(0, reached)
    .map(([from, name], step) => event({ kind: 'transition', atMs: atMs(step), from, to: way[step + 1]?.[0] ?? 'Finished', event: name }));
  const odd = attempts.slice(0, 2).map(({ id: attempt, stage, runner }) =>
    event({
      kind: 'attempt',
      runner,
      atMs: atMs(1),
      detail: { attempt, stage, runner, epoch: 1, status: 'lost', reason: 'its lease ran out without a heartbeat' },
    }),
  );
  const sent =
    reached > 8
      ? [event({ kind: 'message', atMs: atMs(8), detail: { step: 'SubmitPC', cid: `bafy2bzace${ids.hex(26)}`, nonce: 7, try: 1 } })]
      : [];
  const paused =
    fate.error === null ? [] : [event({ kind: 'paused', atMs: atMs(reached), from: fate.state, detail: { code: fate.error } })];
  const aborted =
    fate.state === 'Aborted' ? [event({ kind: 'aborted', atMs: atMs(reached), to: 'Aborted', detail: { filesKept: true } })] : [];
  return [event({ kind: 'created', atMs: atMs(0), actor: 'operator:t-admin' }), ...odd, ...sent, ...moves, ...paused, ...aborted];
}

function dataOf(ids: Ids, { miner, number, state, plan }: Fate, way: readonly [string, string][], reached: number): JobData {
  const made = (event: string): boolean => reached > way.findIndex(([, name]) => name === event);
  const hash = (): string => `sha256:${ids.hex(32)}`;
  const artifact = () => ({ key: `j/${ids.hex(16)}`, sizeBytes: SECTOR_BYTES, hash: hash(), madeIn: 'PC1Done', madeBy: `r-${ids.hex(8)}` });
  const base: JobData = {
    network: 'dev',
    sealProof: 'StackedDrg32GiBV1_1',
    pieces: [],
    artifacts: {},
    furthest: way[reached - 1]?.[0] ?? 'Empty',
  };
  if (plan !== 'sealer' || reached < 3) return base;
  const files = [
    'sealed',
    ...['p_aux', 't_aux', ...Array.from({ length: 8 }, (_, at) => `sc-02-data-tree-r-last-${at}.dat`)].map(
      (name) => `cache/s-${miner}-${number}/${name}`,
    ),
  ];
  const live = state !== 'Finished' && state !== 'Aborted';
  return {
    ...base,
    numberFree: true,
    layout: [{ cid: commitmentOfHex('unsealed', ids.hex(32)).cid, paddedSizeBytes: SECTOR_BYTES, offsetBytes: '0', filler: true }],
    commD: commitmentOfHex('unsealed', ids.hex(32)),
    ...(made('AssignTicket') ? { ticket: { value: ids.hex(32), epoch: 4_000_000 } } : {}),
    ...(made('PC2') ? { commR: commitmentOfHex('sealed', ids.hex(32)) } : {}),
    ...(made('SubmitPC') ? { preCommit: { cid: `bafy2bzace${ids.hex(26)}`, nonce: 4, try: 1, landedEpoch: 4_001_000, exitCode: 0 } } : {}),
    ...(made('Persist')
      ? {
          stored: { storage: 'main', root: '/storage/main', files: files.map((path) => ({ path, sizeBytes: SECTOR_BYTES, hash: hash() })) },
          storedChecked: true,
        }
      : {}),
    ...(made('AssignSeed') ? { seed: { value: ids.hex(32), epoch: 4_001_150 } } : {}),
    ...(made('C2') ? { proof: Buffer.from(ids.hex(1920), 'hex').toString('base64'), proofChecked: true } : {}),
    ...(state === 'Finished'
      ? { proveCommit: { cid: `bafy2bzace${ids.hex(26)}`, nonce: 5, try: 1, landedEpoch: 4_001_200, exitCode: 0 } }
      : {}),
    artifacts: live
      ? Object.fromEntries(Array.from({ length: 2 * reached }, (_, at) => [`cache/sc-02-data-layer-${at}.dat`, artifact()]))
      : {},
  };
}

function recordOf({ miner, number, data }: Job, ids: Ids): SectorRecord {
  return {
    miner,
    number: number ?? 0,
    sealProof: data.sealProof,
    ticket: data.ticket ?? null,
    commD: data.commD ?? null,
    commR: data.commR ?? commitmentOfHex('sealed', ids.hex(32)),
    pieces: [],
    update: null,
    files: data.stored ?? null,
    preCommit: data.preCommit?.cid ?? null,
    proveCommit: data.proveCommit?.cid ?? null,
    replicaUpdate: null,
    source: 'sealed',
  };
}

/** Throws when the made rows are not what the schemas say: a bench of another shape would measure nothing. */
export function checkShape({ job, record }: MadeSector): void {
  Job.parse(job);
  if (record !== undefined) SectorRecord.parse(record);
}
