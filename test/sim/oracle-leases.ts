/**
 * Leases by a clock of their own: whoever was answered in time keeps its stage, whoever is silent loses it, and whoever lost it is
 * told to stop. Of the engine only what it is set to.
 */
import { DEFAULTS } from '../../src/scheduler/context.ts';
import type { AttemptRow } from './reader.ts';

/** As the worlds of the simulator are set. */
const { leaseMs: LEASE_MS } = DEFAULTS;
const GRACE_MS: Readonly<Partial<Record<string, number>>> = DEFAULTS.graceMs;
/** A lease may be longer by this much: ticks that a full disk held up, and what restarts add to leases. */
const LATE_MS = 60_000;
/** So many answers stop a runner. */
const ANSWERS = 2;

type Beat = { readonly attempt: string };
type Lease = {
  readonly ms: number;
  /** When the last word that was answered was on its way already; before that, when it was granted. */
  heardMs: number;
  /** So long the control plane was up without hearing of it. */
  silentMs: number;
};

export class LeaseOracle {
  readonly #broken: (promise: string, what: string) => void;
  readonly #leases = new Map<string, Lease>();
  /** Attempts that were taken away, with the answers that whoever works on them has had since. */
  readonly #over = new Map<string, { readonly atMs: number; answers: number }>();

  constructor(broken: (promise: string, what: string) => void) {
    this.#broken = broken;
  }

  granted(attempt: string, stage: string, atMs: number): void {
    this.#leases.set(attempt, { ms: LEASE_MS + (GRACE_MS[stage] ?? 0), heardMs: atMs, silentMs: 0 });
  }

  /** `whose`: the attempt in words. */
  ended(attempt: string, end: { readonly status: string; readonly reason: string; readonly atMs: number; readonly whose: string }): void {
    const { status, reason, atMs, whose } = end;
    const lease = this.#leases.get(attempt);
    this.#leases.delete(attempt);
    if (status === 'lost' || status === 'cancelled') this.#over.set(attempt, { atMs, answers: 0 });
    if (lease !== undefined && /lease ran out/.test(reason) && atMs - lease.heardMs < lease.ms)
      this.#broken('lease', `${whose} lost its lease of ${lease.ms} ms, ${atMs - lease.heardMs} ms after a heartbeat that was answered`);
  }

  /** The control plane was up for `stepMs` more. */
  look(running: readonly AttemptRow[], stepMs: number): void {
    for (const { id, stage, runner } of running) {
      const lease = this.#leases.get(id);
      if (lease === undefined) continue;
      lease.silentMs += stepMs;
      if (lease.silentMs > lease.ms + LATE_MS)
        this.#broken('lease', `${id} (${stage} on ${runner}) was not heard of for ${lease.silentMs} ms and is still granted`);
    }
  }

  /** A heartbeat has come, whether or not it is answered. */
  came(attempts: readonly Beat[]): void {
    for (const { attempt } of attempts) {
      const lease = this.#leases.get(attempt);
      if (lease !== undefined) lease.silentMs = 0;
    }
  }

  /** A heartbeat that came at `atMs` was answered. */
  answered(attempts: readonly Beat[], atMs: number): void {
    for (const { attempt } of attempts) {
      const lease = this.#leases.get(attempt);
      if (lease !== undefined) lease.heardMs = Math.max(lease.heardMs, atMs);
    }
  }

  /** Its runner named them at `atMs`, was answered, and works on them still. */
  goesOn(attempts: readonly Beat[], atMs: number): void {
    for (const { attempt } of attempts) {
      const over = this.#over.get(attempt);
      if (over === undefined || over.atMs >= atMs) continue;
      over.answers += 1;
      if (over.answers >= ANSWERS)
        this.#broken('stop', `${attempt} was taken away, and its runner was answered ${over.answers} times and works on`);
    }
  }
}
