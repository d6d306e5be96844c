/** Tells of what was committed: a line of the log for each event and each effect that was performed, and the counters. */
import type { Logger } from 'pino';
import type { Door } from '../api/door.ts';
import type { Metrics } from '../metrics/open.ts';
import type { Context } from '../scheduler/context.ts';
import type { EffectOutcome, EffectRow } from '../scheduler/effects.ts';
import type { Event } from '../schema/event.ts';
import { AttemptId, type JobId, sectorName } from '../schema/ids.ts';
import type { Attempt } from '../schema/job.ts';
import { sleep } from './machine.ts';

const PAGE = 200;
const FAILED_WAIT_MS = 1_000;

type Told = { readonly event: Event; readonly sector: string | null; readonly attempt: Attempt | undefined };

/** Follows the history from event number `after` on until `ending`. A line is late by as long as a commit takes, and never early. */
export async function tellEvents(
  door: Door,
  after: number,
  log: Logger,
  metrics: Pick<Metrics, 'event'>,
  ending: AbortSignal,
): Promise<void> {
  let seq = after;
  for (;;) {
    // Asked for before reading, so that no event between the two is missed.
    const changed = door.changed('events', ending);
    try {
      const page = await door.run((ctx) => ctx.tx.eventsAfter(seq, PAGE).map((event) => toldOf(ctx, event)));
      for (const told of page) {
        seq = told.event.seq;
        metrics.event(told.event, told.attempt);
        tell(log, told);
      }
      if (page.length === PAGE) continue;
      if (ending.aborted) return;
      await changed;
    } catch (error) {
      if (ending.aborted) return;
      log.error({ err: error }, 'the history could not be read');
      await sleep(FAILED_WAIT_MS, ending);
    }
  }
}

function toldOf(ctx: Context, event: Event): Told {
  const attempt = AttemptId.safeParse(event.detail['attempt']);
  return {
    event,
    sector: event.job === null ? null : sectorOf(ctx, event.job),
    attempt: event.kind === 'attempt' && attempt.success ? ctx.tx.attempt(attempt.data) : undefined,
  };
}

function sectorOf(ctx: Context, id: JobId): string | null {
  const job = ctx.tx.job(id);
  return job === undefined || job.number === null ? null : sectorName(job.miner, job.number);
}

function tell(log: Logger, { event, sector, attempt }: Told): void {
  const { seq, kind, job, runner, from, to, actor, detail } = event;
  const text = (field: string): string | undefined => (typeof detail[field] === 'string' ? detail[field] : undefined);
  // Whatever ends an attempt (time, an operator, another poll) belongs to the step that it was granted in.
  const requestId = attempt?.request ?? event.request ?? undefined;
  const by = event.request === null || event.request === requestId ? undefined : event.request;
  const about = { requestId, by, seq, kind, job: job ?? undefined, sector: sector ?? undefined, runner: runner ?? undefined, actor };
  const what = {
    from: from ?? undefined,
    to: to ?? undefined,
    event: event.event ?? undefined,
    attempt: attempt?.id ?? undefined,
    stage: text('stage'),
    step: text('step'),
    status: text('status'),
    action: text('action'),
    code: text('code'),
    message: text('message') ?? text('failure') ?? text('reason'),
    cid: text('cid'),
  };
  log.info({ ...about, ...what }, 'event');
}

/** Tells of an effect that was performed. What only waits is told by the finer levels. */
export function tellOutcome(log: Logger, metrics: Pick<Metrics, 'outcome'>): (effect: EffectRow, outcome: EffectOutcome) => void {
  return (effect, outcome) => {
    metrics.outcome(effect, outcome);
    const { id, job, step, want, request } = effect;
    const error = outcome.outcome === 'error' ? { code: outcome.code, message: outcome.message } : {};
    const fields = {
      requestId: request ?? undefined,
      effect: id,
      kind: want.kind,
      step,
      job: job ?? undefined,
      sector: sectorIn(want),
      outcome: outcome.outcome,
      ...error,
    };
    if (outcome.outcome === 'wait') log.debug(fields, 'effect');
    else log.info(fields, 'effect');
  };
}

/** The sector that the effect is about, where it says so. */
function sectorIn(want: EffectRow['want']): string | undefined {
  if (want.kind === 'message') return sectorName(want.message.miner, want.message.number);
  return 'number' in want && want.number !== null ? sectorName(want.miner, want.number) : undefined;
}
