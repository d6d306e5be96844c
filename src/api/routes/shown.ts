/** Rows of the database as the API shows them. Secrets' hashes, object keys of pieces and signed bytes stay inside. */
import { type RunnerId, joinTokenId, sectorName } from '../../schema/ids.ts';
import type { Job } from '../../schema/job.ts';
import type { Context } from '../../scheduler/context.ts';
import { deadlineOf } from '../../scheduler/deadlines.ts';
import type { EffectRow } from '../../scheduler/effects.ts';
import { epochNow } from '../../scheduler/head.ts';
import type { Operated } from '../../scheduler/operate.ts';
import type { ApiTokenRow, JoinTokenRow, PieceRow, RunnerRow, ThreadWithJob, Tx } from '../../scheduler/ports.ts';
import { type Principal, mayMiner } from '../auth.ts';
import { notFound } from '../problems.ts';
import type {
  ActedView,
  JoinTokenView,
  MessageView,
  PieceView,
  RunnerLog,
  RunnerView,
  SectorDetail,
  SectorView,
  ThreadView,
  TokenView,
} from '../views.ts';

/** Most events of one sector shown at once, the newest; older ones come through /v1/events. */
const EVENTS_SHOWN = 1_000;

export function sectorView(job: Job): SectorView {
  return { ...job, sector: job.number === null ? null : sectorName(job.miner, job.number), deadline: deadlineOf(job) };
}

/** The job after an action, with the message that is out and cannot be called back. */
export function actedView({ job, notice }: Operated): ActedView {
  return { ...sectorView(job), notice };
}

export function messageView(effect: EffectRow): MessageView[] {
  if (effect.want.kind !== 'message') return [];
  const { step, generation, status, lastError, signed, want } = effect;
  return [
    {
      step,
      generation,
      try: effect.try,
      method: want.message.method,
      status,
      cid: signed?.cid ?? null,
      nonce: signed?.nonce ?? null,
      sender: signed?.sender ?? null,
      lastError,
    },
  ];
}

export function sectorDetail(ctx: Context, job: Job): SectorDetail {
  const { tx } = ctx;
  return {
    job: sectorView(job),
    epoch: epochNow(ctx) ?? null,
    events: [...tx.eventsOfJob(job.id, EVENTS_SHOWN)],
    attempts: [...tx.attemptsOfJob(job.id)],
    artifacts: Object.entries(job.data.artifacts).map(([name, artifact]) => ({ name, ...artifact })),
    messages: tx.effectsOfJob(job.id).flatMap(messageView),
  };
}

/** What the thread's job does, for how long, and in which stage. */
function doing(
  { tx, nowMs }: Context,
  job: Omit<Job, 'data'>,
  grantedMs: number | undefined,
): Pick<ThreadView, 'threadState' | 'stage' | 'elapsedMs'> {
  const { waiting } = job;
  const stage = waiting.for === 'runner' || waiting.for === 'stage' ? waiting.stage : null;
  const since = (ms: number | undefined): number => Math.max(0, nowMs - (ms ?? job.updatedMs));
  if (job.paused) {
    const paused = tx.eventsOfJob(job.id, EVENTS_SHOWN).findLast(({ kind }) => kind === 'paused');
    return { threadState: 'Paused', stage, elapsedMs: since(paused?.atMs) };
  }
  if (waiting.for === 'stage') return { threadState: 'Running', stage, elapsedMs: since(grantedMs) };
  return { threadState: 'Waiting', stage, elapsedMs: since(waiting.for === 'runner' ? waiting.sinceMs : undefined) };
}

/** A thread; a job of a miner that the token is not for stays hidden. */
export function threadView(ctx: Context, { thread, job: found, grantedMs }: ThreadWithJob, principal: Principal): ThreadView {
  const job = found !== undefined && mayMiner(principal, found.miner) ? found : undefined;
  const { index, plan, miner, auto, enabled } = thread;
  return {
    index,
    plan,
    miner,
    auto,
    enabled,
    job: job?.id ?? null,
    sector: job === undefined || job.number === null ? null : sectorName(job.miner, job.number),
    state: job?.state ?? null,
    ...(job === undefined
      ? ({ threadState: enabled ? 'Idle' : 'Off', stage: null, elapsedMs: null } as const)
      : doing(ctx, job, grantedMs)),
    paused: job?.paused ?? false,
    error: job?.error?.message ?? null,
  };
}

export function runnerView(tx: Tx, row: RunnerRow): RunnerView {
  const { id, name, trust, resources, status, reason, strikes, lastSeenMs, registeredMs } = row;
  const running = tx.runningAttempts(id).map(({ id: attempt, job, stage, fraction }) => ({ attempt, job, stage, fraction }));
  const lists = { labels: [...row.labels], stages: [...row.stages], storage: [...row.storage] };
  const told = { agentVersion: row.agentVersion ?? null, tests: row.tests?.stages ?? {} };
  return { id, name, trust, ...lists, resources, status, reason, strikes, lastSeenMs, registeredMs, ...told, running };
}

/** What a runner did last, newest first. Throws 404 where there is no such runner. */
export function runnerLogs(tx: Tx, id: RunnerId, limit: number): RunnerLog[] {
  if (tx.runner(id) === undefined) throw notFound(`runner ${id}`);
  return tx.attemptsOfRunner(id, limit).map((attempt) => {
    const { number, miner } = tx.job(attempt.job) ?? { number: null, miner: '' };
    const { job, stage, epoch, status, grantedMs, endedMs, progressMs, fraction, note, failure, logTail } = attempt;
    const sector = number === null ? null : sectorName(miner, number);
    return { attempt: attempt.id, job, sector, stage, epoch, status, grantedMs, endedMs, progressMs, fraction, note, failure, logTail };
  });
}

export function pieceView(row: PieceRow): PieceView {
  const { key: _key, ...shown } = row;
  return shown;
}

export function joinTokenView({ hash, trust, labels, expiresMs }: JoinTokenRow): JoinTokenView {
  return { id: joinTokenId(hash), trust, labels: [...labels], expiresMs };
}

export function tokenView(row: ApiTokenRow): TokenView {
  const { hash: _hash, previousHash: _previous, ...shown } = row;
  return { ...shown, miners: row.miners === null ? null : [...row.miners] };
}
