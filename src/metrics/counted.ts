/** Counters and histograms: fed with what was committed, from the start of the process on. */
import { Counter, Histogram, type Registry } from 'prom-client';
import type { EffectOutcome, EffectRow, MessageField } from '../scheduler/effects.ts';
import type { Event } from '../schema/event.ts';
import type { Attempt } from '../schema/job.ts';

/** From two seconds (a stage of 2 KiB) over minutes (C2) to half a day (PC1 of 64 GiB). */
const STAGE_SECONDS = [2, 5, 10, 30, 60, 120, 300, 600, 1_200, 1_800, 3_600, 5_400, 7_200, 10_800, 14_400, 21_600, 43_200];
/** A held poll takes up to half a minute. */
const REQUEST_SECONDS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
/** The messages of a job by the field of its data. */
const METHODS: Readonly<Record<MessageField, string>> = {
  preCommit: 'PreCommitSectorBatch2',
  proveCommit: 'ProveCommitSectors3',
  replicaUpdate: 'ProveReplicaUpdates3',
};

/** An answered request. `route` is the pattern, never the path: names of sectors are no labels. */
export type Answered = { readonly route: string; readonly method: string; readonly status: number; readonly durationMs: number };

/** What is counted; every function may be called at any time and never throws. */
export function countedMetrics(registry: Registry) {
  const registers = [registry];
  const counter = <L extends string>(name: string, help: string, labelNames: L[]) => new Counter({ name, help, labelNames, registers });
  const stages = new Histogram({
    name: 'sealpool_stage_seconds',
    help: 'Seconds from the grant of an attempt to its end, by stage and how it ended.',
    labelNames: ['stage', 'status'],
    buckets: STAGE_SECONDS,
    registers,
  });
  const expired = counter('sealpool_lease_expired_total', 'Attempts whose lease ran out without a heartbeat.', []);
  const retries = counter('sealpool_retries_total', 'Errors of jobs after which they go on by themselves.', ['category', 'code']);
  const errors = counter('sealpool_errors_total', 'Errors of jobs.', ['category', 'code']);
  const messages = counter('sealpool_chain_messages_total', 'Chain messages: pushed, landed, failed on chain, or refused before.', [
    'method',
    'status',
  ]);
  const tries = counter('sealpool_webhook_tries_total', 'Tries of webhook deliveries by what came of them.', ['outcome']);
  const removed = counter('sealpool_garbage_removed_total', 'Objects and unfinished uploads that no job needed and that were removed.', []);
  const removedBytes = counter('sealpool_garbage_removed_bytes_total', 'Bytes of them.', []);
  const requests = counter('sealpool_http_requests_total', 'Answered HTTP requests.', ['route', 'method', 'status']);
  const seconds = new Histogram({
    name: 'sealpool_http_request_seconds',
    help: 'Seconds until an HTTP request was answered; polls of runners are held back while there is nothing to grant.',
    labelNames: ['route', 'method'],
    buckets: REQUEST_SECONDS,
    registers,
  });

  return {
    /** A committed event; `attempt` as it is now, for an event about one. */
    event({ kind, detail, atMs }: Event, attempt: Attempt | undefined): void {
      if (kind === 'error') {
        const labels = { category: text(detail['category'], 'temporary'), code: text(detail['code'], 'unknown') };
        errors.inc(labels);
        if (detail['pauses'] === false) retries.inc(labels);
      }
      if (detail['action'] === 'objects.remove') {
        removed.inc(number(detail['objects']) + number(detail['uploads']));
        removedBytes.inc(number(detail['sizeBytes']));
      }
      if (kind !== 'attempt' || attempt === undefined || detail['status'] === 'running') return;
      const endedMs = attempt.endedMs ?? atMs;
      stages.observe({ stage: attempt.stage, status: text(detail['status'], attempt.status) }, (endedMs - attempt.grantedMs) / 1000);
      if (detail['status'] === 'lost' && text(detail['reason'], '').startsWith('its lease ran out')) expired.inc();
    },
    /** What came of an effect, once it is recorded. */
    outcome({ want }: EffectRow, outcome: EffectOutcome): void {
      if (want.kind === 'message' && outcome.outcome === 'pushed') messages.inc({ method: want.message.method, status: 'pushed' });
      if (want.kind === 'message' && outcome.outcome === 'error') messages.inc({ method: want.message.method, status: 'error' });
      if (want.kind === 'landed' && outcome.outcome === 'landed')
        messages.inc({ method: METHODS[want.what], status: outcome.exitCode === 0 ? 'landed' : 'failed' });
    },
    /** One try of a webhook delivery: `delivered`, `refused`, `timeout`… */
    webhookTry: (outcome: string): void => tries.inc({ outcome }),
    answered({ route, method, status, durationMs }: Answered): void {
      requests.inc({ route, method, status });
      seconds.observe({ route, method }, durationMs / 1000);
    },
  };
}

function number(value: unknown): number {
  return typeof value === 'number' ? value : 0;
}

function text(value: unknown, otherwise: string): string {
  return typeof value === 'string' ? value : otherwise;
}
