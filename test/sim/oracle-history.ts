/**
 * What must hold of the history at any moment: the events of a job, folded, are its row; only the tables'
 * events happen; lease epochs and generations only rise; of an attempt that ended nothing counts. Written
 * from flows.md and the served tables alone.
 */
import type { EventRow, JobRow, Reader } from './reader.ts';

/** An event of a job. */
type JobEvent = EventRow & { readonly job: string };

type Tables = Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, string>>>>>>;

/** A job as its events tell it. */
export type Told = {
  readonly id: string;
  /** Order of creation, from 0. */
  readonly index: number;
  readonly plan: string;
  state: string;
  generation: number;
  paused: boolean;
  /** The furthest state of this run, by its place in the table. */
  furthest: number;
  /** It got further, and nothing failed since. */
  fresh: boolean;
  /** Who paused it last. */
  pausedBy: string;
  /** Attempts that may still report, by id. */
  readonly running: Map<string, { stage: string; epoch: number; generation: number }>;
  readonly epochs: Map<string, number>;
  readonly cids: Set<string>;
};

export class HistoryOracle {
  readonly jobs = new Map<string, Told>();
  #seq = 0;
  readonly #tables: Tables;
  readonly #broken: (promise: string, what: string) => void;

  constructor(tables: Tables, broken: (promise: string, what: string) => void) {
    this.#tables = tables;
    this.#broken = broken;
  }

  /** Reads on; answers the events that are new, also those of no job. */
  look(reader: Reader): EventRow[] {
    const fresh = reader.events(this.#seq);
    for (const event of fresh) {
      if (event.job === null) this.#seq = Math.max(this.#seq, event.seq);
      else this.#fold({ ...event, job: event.job });
    }
    const rows = reader.jobs();
    for (const row of rows) this.#compare(row);
    if (rows.length !== this.jobs.size) this.#broken('fold', `${rows.length} rows and ${this.jobs.size} jobs in the history`);
    const running = new Map<string, string>();
    for (const { job, id } of reader.running()) {
      const other = running.get(job);
      if (other !== undefined) this.#broken('fencing', `attempts ${other} and ${id} of ${job} run at the same time`);
      running.set(job, id);
      if (!(this.jobs.get(job)?.running.has(id) ?? false)) this.#broken('fold', `attempt ${id} runs, and the history does not say so`);
    }
    return fresh;
  }

  #fold(event: JobEvent): void {
    const detail = JSON.parse(event.detail) as Record<string, unknown>;
    const fail = (promise: string, what: string): void =>
      this.#broken(promise, `event ${event.seq} (${event.kind} of ${event.job}): ${what}`);
    if (event.seq <= this.#seq) fail('fold', 'event numbers do not rise');
    this.#seq = event.seq;
    if (event.kind === 'created') {
      const told: Told = {
        id: event.job,
        index: this.jobs.size,
        plan: String(detail.plan),
        state: 'Empty',
        generation: 1,
        furthest: 0,
        fresh: false,
        paused: false,
        pausedBy: '',
        running: new Map(),
        epochs: new Map(),
        cids: new Set(),
      };
      if (this.jobs.has(event.job)) fail('fold', 'created twice');
      this.jobs.set(event.job, told);
      return;
    }
    const job = this.jobs.get(event.job);
    if (job === undefined) {
      fail('fold', 'the job was never created');
      return;
    }
    if (job.state === 'Finished' || (job.state === 'Aborted' && event.kind !== 'attempt')) {
      if (event.kind !== 'error' && event.kind !== 'note') fail('illegal transition', `something happens after ${job.state}`);
    }
    if (event.generation < job.generation) fail('generation', `generation ${event.generation} after ${job.generation}`);
    switch (event.kind) {
      case 'transition':
        this.#transition(job, event, fail);
        break;
      case 'went_back':
      case 'aborted':
        this.#jump(job, event, fail);
        break;
      case 'paused':
        job.paused = true;
        job.pausedBy = event.actor;
        break;
      case 'resumed':
        job.paused = false;
        break;
      case 'error':
        job.fresh = false;
        break;
      case 'attempt':
        this.#attempt(job, event, detail, fail);
        break;
      case 'message':
        // Told after a restore: what became of one on the chain. Nothing was signed.
        if (detail.landedEpoch !== undefined) break;
        if (job.paused) fail('paused', `message ${String(detail.cid)} was signed while the job was paused`);
        if (job.cids.has(String(detail.cid))) fail('one message', `message ${String(detail.cid)} was recorded twice`);
        job.cids.add(String(detail.cid));
        break;
      default:
    }
    if (event.kind !== 'went_back' && event.kind !== 'aborted' && event.generation !== job.generation)
      fail('generation', `it names generation ${event.generation}, the job is in ${job.generation}`);
  }

  #transition(job: Told, event: EventRow, fail: (promise: string, what: string) => void): void {
    if (event.from_state !== job.state) fail('illegal transition', `from ${event.from_state}, the job was in ${job.state}`);
    const target = this.#tables[job.plan]?.[job.state]?.[event.event ?? ''];
    if (target === undefined || target !== event.to_state)
      fail('illegal transition', `${job.state} –${event.event}→ ${event.to_state} is in no table`);
    if (job.paused) fail('paused', `${event.event} happened while the job was paused`);
    if (job.running.size > 0) fail('fencing', `${event.event} happened while an attempt ran`);
    job.state = event.to_state ?? job.state;
    const place = Object.keys(this.#tables[job.plan] ?? {}).indexOf(job.state);
    job.fresh = place > job.furthest;
    job.furthest = Math.max(job.furthest, place);
  }

  #jump(job: Told, event: EventRow, fail: (promise: string, what: string) => void): void {
    const states = Object.keys(this.#tables[job.plan] ?? {});
    const to = event.to_state ?? '';
    if (event.from_state !== job.state) fail('illegal transition', `from ${event.from_state}, the job was in ${job.state}`);
    if (event.generation !== job.generation + 1) fail('generation', `generation ${event.generation} follows ${job.generation}`);
    if (job.running.size > 0) fail('fencing', 'an attempt still ran');
    if (
      event.kind === 'aborted'
        ? to !== 'Aborted'
        : to === 'Aborted' || states.indexOf(to) > states.indexOf(job.state) || states.indexOf(to) < 0
    )
      fail('illegal transition', `${job.state} → ${to}`);
    job.generation = event.generation;
    job.state = to;
    if (event.kind === 'aborted') job.paused = false;
  }

  #attempt(job: Told, event: EventRow, detail: Record<string, unknown>, fail: (promise: string, what: string) => void): void {
    const id = String(detail.attempt);
    const stage = String(detail.stage);
    if (detail.status === 'running') {
      const epoch = Number(detail.epoch);
      if (epoch <= (job.epochs.get(stage) ?? 0)) fail('lease epoch', `epoch ${epoch} of ${stage} follows ${job.epochs.get(stage)}`);
      if (job.paused) fail('paused', `${stage} was granted while the job was paused`);
      if (job.running.size > 0) fail('fencing', `${stage} was granted while another attempt ran`);
      job.epochs.set(stage, epoch);
      job.running.set(id, { stage, epoch, generation: job.generation });
      return;
    }
    const attempt = job.running.get(id);
    if (attempt === undefined) fail('fencing', `attempt ${id} is ${String(detail.status)} although it had ended`);
    else if (detail.status === 'done' && attempt.generation !== job.generation)
      fail('fencing', `attempt ${id} of generation ${attempt.generation} counted in ${job.generation}`);
    job.running.delete(id);
  }

  #compare(row: JobRow): void {
    const told = this.jobs.get(row.id);
    if (told === undefined) {
      this.#broken('fold', `row ${row.id} has no history`);
      return;
    }
    if (told.fresh && row.retries !== 0) this.#broken('retries', `${row.id} got to ${row.state} and still counts ${row.retries} failures`);
    // A job that ended is not paused any more, whatever paused it before.
    const paused = told.state === 'Finished' || told.state === 'Aborted' ? false : told.paused;
    if (row.state !== told.state) this.#broken('fold', `${row.id} is in ${row.state}, its history in ${told.state}`);
    if (row.generation !== told.generation)
      this.#broken('fold', `${row.id} has generation ${row.generation}, its history ${told.generation}`);
    if ((row.paused === 1) !== paused)
      this.#broken('fold', `${row.id} is ${row.paused === 1 ? '' : 'not '}paused, its history says otherwise`);
  }
}
