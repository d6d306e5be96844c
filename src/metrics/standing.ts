/** Gauges: what stands at the moment they are asked for. Only counts; nothing of a secret or a path is in a label. */
import { Gauge, type Registry } from 'prom-client';
import type { WebhookId } from '../schema/ids.ts';
import type { Stage } from '../schema/stage.ts';

/** What one transaction found. */
export type Standing = {
  readonly sectors: readonly { readonly plan: string; readonly state: string; readonly paused: boolean; readonly count: number }[];
  readonly queue: readonly { readonly stage: Stage; readonly count: number }[];
  readonly running: readonly { readonly stage: Stage; readonly count: number }[];
  readonly runners: readonly { readonly status: string; readonly trust: string }[];
  readonly effects: readonly { readonly kind: string; readonly count: number }[];
  /** Every webhook; `oldestMs`: when its oldest open delivery was made. */
  readonly webhooks: readonly { readonly webhook: WebhookId; readonly count: number; readonly oldestMs: number | undefined }[];
  /** Until the first of the landed pre-commits expires unproven; undefined: there is none. */
  readonly proveWithinEpochs: number | undefined;
  /** Undefined: no head was seen yet. */
  readonly headEpoch: number | undefined;
  readonly nowMs: number;
};

/** Money in FIL, as it was last told. */
export type Money = { readonly address: string; readonly kind: string; readonly fil: number };

/** Sets all gauges from what was found; undefined: the database could not be read, and only money is told. */
export function standingMetrics(registry: Registry): (standing: Standing | undefined, money: readonly Money[]) => void {
  const registers = [registry];
  const gauge = <L extends string>(name: string, help: string, labelNames: L[]) => new Gauge({ name, help, labelNames, registers });
  const sectors = gauge('sealpool_sectors', 'Jobs by plan, state and whether they are paused.', ['plan', 'state', 'paused']);
  const queue = gauge('sealpool_queue', 'Jobs that wait for a runner, by stage.', ['stage']);
  const running = gauge('sealpool_leases_running', 'Attempts that runners work on, by stage.', ['stage']);
  const runners = gauge('sealpool_runners', 'Registered runners by status and trust.', ['status', 'trust']);
  const effects = gauge('sealpool_effects_open', 'Effects in the outbox that are not done, by kind.', ['kind']);
  const deliveries = gauge('sealpool_webhook_deliveries_open', 'Deliveries that the receiver has not taken yet.', ['webhook']);
  const lag = gauge('sealpool_webhook_lag_seconds', 'Age of the oldest delivery that the receiver has not taken yet.', ['webhook']);
  const within = gauge('sealpool_prove_commit_epochs_left', 'Epochs until the next landed pre-commit expires unproven.', []);
  const head = gauge('sealpool_chain_head_epoch', 'Epoch of the chain by its last head that was seen.', []);
  const balance = gauge('sealpool_balance_fil', 'FIL of the addresses that send, and what of a miner is available.', ['address', 'kind']);
  const all = [sectors, queue, running, runners, effects, deliveries, lag, within, head, balance];
  return (standing, money) => {
    // What there is none of any more must not go on standing there.
    for (const one of all) one.reset();
    for (const { address, kind, fil } of money) balance.set({ address, kind }, fil);
    only(within, standing?.proveWithinEpochs);
    only(head, standing?.headEpoch);
    if (standing === undefined) return;
    for (const { count, paused, ...labels } of standing.sectors) sectors.set({ ...labels, paused: String(paused) }, count);
    for (const { stage, count } of standing.queue) queue.set({ stage }, count);
    for (const { stage, count } of standing.running) running.inc({ stage }, count);
    for (const { status, trust } of standing.runners) runners.inc({ status, trust });
    for (const { kind, count } of standing.effects) effects.set({ kind }, count);
    for (const { webhook, count, oldestMs } of standing.webhooks) {
      deliveries.set({ webhook }, count);
      lag.set({ webhook }, oldestMs === undefined ? 0 : Math.max(0, standing.nowMs - oldestMs) / 1000);
    }
  };
}

/** A gauge without labels stands at 0 after a reset; what is unknown is no sample at all. */
function only(gauge: Gauge, value: number | undefined): void {
  if (value === undefined) gauge.remove();
  else gauge.set(value);
}
