/** A job as columns, and back. */
import type { AttemptId, EffectId, JobId, MinerId, RunnerId } from '../schema/ids.ts';
import type { ErrorCategory, Job, JobData, PlanName, Waiting } from '../schema/job.ts';
import type { Stage } from '../schema/stage.ts';
import type { Written } from './db.ts';
import type { jobs } from './tables.ts';

type WaitingColumns = Pick<Written<typeof jobs>, 'waitingFor' | 'waitingStage' | 'waitingId' | 'waitingMs' | 'queueMs'>;

function waitingColumns(waiting: Waiting): WaitingColumns {
  const bare = { waitingFor: waiting.for, waitingStage: null, waitingId: null, waitingMs: null, queueMs: null };
  switch (waiting.for) {
    case 'runner':
      return { ...bare, waitingStage: waiting.stage, waitingMs: waiting.sinceMs, queueMs: waiting.rankMs ?? waiting.sinceMs };
    case 'stage':
      return { ...bare, waitingStage: waiting.stage, waitingId: waiting.attempt };
    case 'effect':
      return { ...bare, waitingId: waiting.effect };
    case 'retry':
      return { ...bare, waitingMs: waiting.untilMs };
    default:
      return bare;
  }
}

function waitingOf(row: WaitingColumns): Waiting {
  const kind = row.waitingFor as Waiting['for'];
  switch (kind) {
    case 'runner':
      return {
        for: kind,
        stage: row.waitingStage as Stage,
        sinceMs: row.waitingMs as number,
        ...(row.queueMs === null || row.queueMs === row.waitingMs ? {} : { rankMs: row.queueMs }),
      };
    case 'stage':
      return { for: kind, stage: row.waitingStage as Stage, attempt: row.waitingId as AttemptId };
    case 'effect':
      return { for: kind, effect: row.waitingId as EffectId };
    case 'retry':
      return { for: kind, untilMs: row.waitingMs as number };
    default:
      return { for: kind };
  }
}

/** The columns of a job. */
export function jobRow(job: Job): Written<typeof jobs> {
  return {
    id: job.id,
    plan: job.plan,
    miner: job.miner,
    number: job.number,
    state: job.state,
    generation: job.generation,
    paused: job.paused ? 1 : 0,
    errorCategory: job.error?.category ?? null,
    errorCode: job.error?.code ?? null,
    errorMessage: job.error?.message ?? null,
    errorAtMs: job.error?.atMs ?? null,
    retries: job.retries,
    ...waitingColumns(job.waiting),
    thread: job.thread,
    reservedRunner: job.reserved?.runner ?? null,
    reservedUntilMs: job.reserved?.untilMs ?? null,
    createdMs: job.createdMs,
    updatedMs: job.updatedMs,
    data: JSON.stringify(job.data),
  };
}

/** The job of a row that this module wrote. */
export function jobOf(row: Written<typeof jobs>): Job {
  return {
    id: row.id as JobId,
    plan: row.plan as PlanName,
    miner: row.miner as MinerId,
    number: row.number,
    state: row.state,
    generation: row.generation,
    paused: row.paused === 1,
    error:
      row.errorCode === null
        ? null
        : {
            category: row.errorCategory as ErrorCategory,
            code: row.errorCode,
            message: row.errorMessage as string,
            atMs: row.errorAtMs as number,
          },
    retries: row.retries,
    waiting: waitingOf(row),
    thread: row.thread,
    reserved: row.reservedRunner === null ? null : { runner: row.reservedRunner as RunnerId, untilMs: row.reservedUntilMs as number },
    createdMs: row.createdMs,
    updatedMs: row.updatedMs,
    data: JSON.parse(row.data) as JobData,
  };
}
