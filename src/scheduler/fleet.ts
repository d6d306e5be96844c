/** Runners: registration, heartbeats, strikes. */
import type { AttemptId, RunnerId } from '../schema/ids.ts';
import type { Attempt } from '../schema/job.ts';
import type { HeartbeatAnswer, HeartbeatRequest, RegisterRequest, Resources } from '../schema/runner.ts';
import { SealpoolError } from '../schema/problem.ts';
import { heardFrom } from './boots.ts';
import { dropUploads, note } from './change.ts';
import type { Context } from './context.ts';
import { settle } from './engine.ts';
import type { Evidence } from './evidence.ts';
import { leaseMs } from './grants.ts';
import { noteRunner } from './happened.ts';
import { placeFreed } from './limits.ts';
import type { JoinTokenRow, RunnerRow } from './ports.ts';
import { progressOf } from './progress.ts';
import { isTaken } from './taken-results.ts';

/**
 * Burns the join token and makes the runner. Of many calls with one token exactly one makes a runner; the process that sent it
 * may ask again until its runner has spoken, for the answer may have been lost, and gets that runner with a new credential.
 */
export function registerRunner(ctx: Context, request: RegisterRequest, tokenHash: string, credentialHash: string): RunnerRow {
  const id = ctx.ids.next('r') as RunnerId;
  const token = ctx.tx.joinToken(tokenHash);
  if (token === undefined || token.expiresMs < ctx.nowMs || !ctx.tx.burnJoinToken(tokenHash, id)) {
    const again = answerAgain(ctx, token, request, credentialHash);
    if (again !== undefined) return again;
    throw new SealpoolError(
      'unauthorized',
      'join_token',
      'this join token is unknown, used or expired; ask the operator for a new one (sealpool runners token)',
    );
  }
  if (token.trust === 'rented' && request.storage.length > 0) {
    throw new SealpoolError(
      'forbidden',
      'storage_is_own',
      'a rented runner cannot offer miner storage; register it with a token for own runners, or without storage',
    );
  }
  const runner: RunnerRow = {
    id,
    name: request.name,
    trust: token.trust,
    labels: token.labels,
    stages: request.stages,
    storage: request.storage,
    resources: request.resources,
    credentialHash,
    credentialMs: null,
    nextCredentialSeed: null,
    nextCredentialHash: null,
    previousCredentialHash: null,
    bootId: request.bootId,
    earlierBoots: [],
    status: 'ready',
    reason: null,
    strikes: 0,
    lastSeenMs: ctx.nowMs,
    registeredMs: ctx.nowMs,
    agentVersion: request.agentVersion,
  };
  ctx.tx.insertRunner(runner);
  noteRunner(ctx, id, 'runner_registered', `runner:${id}`, { name: runner.name, trust: runner.trust, labels: runner.labels });
  return runner;
}

/** The runner that this token made, for the process that sent it. The credential that nobody has used is replaced. */
function answerAgain(
  ctx: Context,
  token: JoinTokenRow | undefined,
  { bootId, name }: RegisterRequest,
  credentialHash: string,
): RunnerRow | undefined {
  const made = token === undefined || token.usedBy === null ? undefined : ctx.tx.runner(token.usedBy);
  if (made === undefined || hasSpoken(made) || made.status === 'banned') return undefined;
  if (made.bootId !== bootId || made.name !== name) return undefined;
  const again = { ...made, credentialHash };
  ctx.tx.updateRunner(again);
  return again;
}

/** Whether anybody came with its credential: what a runner says is never noted as of the moment it registered (`seen`). */
const hasSpoken = ({ lastSeenMs, registeredMs }: RunnerRow): boolean => lastSeenMs !== registeredMs;

/**
 * The runner spoke. A new boot id means its process started anew: what it was working on is gone and is granted again at once,
 * without waiting for the lease to run out; a result that is being taken is not gone. Of an earlier process nothing counts, and
 * the row's boot id is not the one that spoke.
 */
export function seen(ctx: Context, runner: RunnerRow, bootId: string, resources?: Resources, slots?: number): RunnerRow {
  const heard = heardFrom(runner, bootId, ctx.nowMs, ctx.settings.leaseMs);
  if (heard.process === 'earlier') return heard.stolen === undefined ? runner : quarantine(ctx, runner, heard.stolen);
  const anew = heard.process === 'new';
  const lastSeenMs = ctx.nowMs === runner.registeredMs ? ctx.nowMs + 1 : ctx.nowMs;
  const changed = {
    ...runner,
    bootId,
    lastSeenMs,
    silentSinceMs: undefined,
    ...(anew ? { earlierBoots: heard.earlier } : {}),
    ...(resources === undefined ? {} : { resources }),
    ...(slots === undefined ? {} : { slots }),
  };
  if (anew)
    for (const attempt of ctx.tx.runningAttempts(runner.id)) if (!isTaken(ctx, attempt)) lose(ctx, attempt, 'the runner started anew');
  // Most polls tell what the one before told.
  const news = JSON.stringify([resources, slots]) !== JSON.stringify([resources && runner.resources, slots && runner.slots]);
  if (anew || news) ctx.tx.updateRunner(changed);
  else if (!hasSpoken(runner) || runner.silentSinceMs !== undefined || ctx.nowMs - runner.lastSeenMs > 1_000)
    ctx.tx.touchRunner(runner.id, lastSeenMs);
  // A poll that it had open was handed nothing meanwhile.
  if (runner.silentSinceMs !== undefined) wakeFor(ctx, runner);
  return anew && heard.stolen !== undefined ? quarantine(ctx, changed, heard.stolen) : changed;
}

function wakeFor({ signals }: Context, { stages }: RunnerRow): void {
  for (const stage of stages) signals.add(`stage:${stage}`);
}

/** Nothing of it counts from now on: its stages go elsewhere. An operator lifts it (`uncordon`) or bans it. */
export function quarantine(ctx: Context, runner: RunnerRow, reason: string): RunnerRow {
  if (runner.status === 'quarantined' || runner.status === 'banned') return runner;
  const changed = { ...runner, status: 'quarantined' as const, reason };
  ctx.tx.updateRunner(changed);
  noteRunner(ctx, runner.id, 'runner_status', 'engine', { from: runner.status, to: 'quarantined', reason });
  for (const attempt of ctx.tx.runningAttempts(runner.id)) lose(ctx, attempt, 'the runner was quarantined');
  ctx.signals.add('runners');
  return changed;
}

/** An attempt that will not be heard of again; its stage is granted anew. */
export function lose(ctx: Context, attempt: Attempt, reason: string): void {
  ctx.tx.updateAttempt({ ...attempt, status: 'lost', endedMs: ctx.nowMs, failure: reason });
  const job = ctx.tx.job(attempt.job);
  if (job === undefined) return;
  dropUploads(ctx, job, attempt.id);
  note(ctx, job, {
    actor: 'engine',
    kind: 'attempt',
    detail: { attempt: attempt.id, stage: attempt.stage, runner: attempt.runner, epoch: attempt.epoch, status: 'lost', reason },
  });
  placeFreed(ctx);
  if (job.generation === attempt.generation) settle(ctx, job);
}

/**
 * Its lease ran out. Until its runner speaks again no stage is left to it, and none is handed to a poll that it had open; one that
 * was heard of with its other stages only does not know of this one.
 */
export function loseSilent(ctx: Context, attempt: Attempt): void {
  const runner = ctx.tx.runner(attempt.runner);
  const { leaseMs: fullMs, heartbeatMs } = ctx.settings;
  if (runner !== undefined && runner.silentSinceMs === undefined && ctx.nowMs - runner.lastSeenMs >= fullMs - heartbeatMs) {
    ctx.tx.updateRunner({ ...runner, silentSinceMs: ctx.nowMs });
    // What was left to it may go elsewhere now.
    wakeFor(ctx, runner);
  }
  lose(ctx, attempt, 'its lease ran out without a heartbeat');
}

/** A fault of the runner. A lie quarantines a rented one at once, faults in a row after `maxStrikes`; the evidence is kept. */
export function strike(ctx: Context, runner: RunnerRow, reason: string, lied: boolean, evidence?: Evidence): void {
  const struck = { ...runner, strikes: runner.strikes + 1 };
  ctx.tx.updateRunner(struck);
  const { strikes } = struck;
  noteRunner(ctx, runner.id, 'runner_struck', 'engine', { reason, lied, strikes, ...(evidence === undefined ? {} : { evidence }) });
  if (runner.trust === 'rented' && (lied || strikes >= ctx.settings.maxStrikes)) quarantine(ctx, struck, reason);
}

/** Extends leases of the attempts the runner works on, keeps their progress, and says which to stop. */
export function heartbeat(ctx: Context, runner: RunnerRow, request: HeartbeatRequest): HeartbeatAnswer {
  seen(ctx, runner, request.bootId);
  return {
    attempts: request.attempts.map((beat) => {
      const attempt = ctx.tx.attempt(beat.attempt);
      if (attempt === undefined || attempt.runner !== runner.id || attempt.epoch !== beat.epoch || attempt.status !== 'running') {
        return { attempt: beat.attempt, order: 'cancel' as const, message: 'this lease is over; stop the stage and drop its files' };
      }
      ctx.tx.updateAttempt({
        ...attempt,
        leaseUntilMs: Math.max(ctx.nowMs + leaseMs(ctx, attempt.stage), attempt.takingUntilMs ?? 0),
        fraction: beat.fraction ?? attempt.fraction,
        secondsLeft: beat.secondsLeft ?? attempt.secondsLeft,
        note: beat.note ?? attempt.note,
        logTail: beat.logTail ?? attempt.logTail,
        ...progressOf(ctx, attempt, beat),
      });
      return { attempt: beat.attempt, order: 'continue' as const, message: '' };
    }),
  };
}

/** Of the attempts the runner says it works on, those it must stop. */
export function cancelledOf(ctx: Context, runner: RunnerRow, running: readonly { attempt: AttemptId; epoch: number }[]): AttemptId[] {
  return running
    .filter(({ attempt, epoch }) => {
      const row = ctx.tx.attempt(attempt);
      return row === undefined || row.runner !== runner.id || row.epoch !== epoch || row.status !== 'running';
    })
    .map(({ attempt }) => attempt);
}

/** An operator drains, cordons, bans or readmits a runner; a ban takes its stages away at once. */
export function setRunnerStatus(
  ctx: Context,
  id: RunnerId,
  status: RunnerRow['status'],
  reason: string | null,
  actor = 'engine',
): RunnerRow {
  const runner = ctx.tx.runner(id);
  if (runner === undefined) throw new SealpoolError('not_found', 'not_found', `there is no runner ${id}; sealpool runners list shows them`);
  if (runner.status === 'banned' && status !== 'banned')
    throw new SealpoolError('conflict', 'banned', `runner ${id} is banned for good; register the machine anew (sealpool runners token)`);
  if (runner.status === 'quarantined' && (status === 'draining' || status === 'cordoned'))
    throw new SealpoolError(
      'conflict',
      'quarantined',
      `runner ${id} is quarantined and gets nothing already; ban it, or uncordon it first`,
    );
  // Whoever lifts it has looked: what was held against it before is settled.
  const cleared = status === 'ready' ? { strikes: 0, earlierBoots: [] } : {};
  const changed = { ...runner, ...cleared, status, reason };
  ctx.tx.updateRunner(changed);
  noteRunner(ctx, id, 'runner_status', actor, { from: runner.status, to: status, reason });
  if (status === 'banned') for (const attempt of ctx.tx.runningAttempts(id)) lose(ctx, attempt, 'the runner was banned');
  ctx.signals.add('runners');
  return changed;
}

/**
 * Grants whose answer never reached the runner: it neither works on them nor reports them. They are granted
 * anew without waiting for the lease. A grant younger than a heartbeat may still be on its way.
 */
export function loseUnknown(ctx: Context, runner: RunnerRow, known: ReadonlySet<AttemptId>): void {
  const old = ctx.nowMs - ctx.settings.heartbeatMs;
  for (const attempt of ctx.tx.runningAttempts(runner.id)) {
    if (!known.has(attempt.id) && attempt.grantedMs < old && !isTaken(ctx, attempt)) lose(ctx, attempt, 'the runner does not know of it');
  }
}
