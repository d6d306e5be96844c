/** The append-only history: what happened to jobs, runners and the control plane itself, and who did it. */
import { z } from 'zod';
import { JobId, MinerId, RunnerId } from './ids.ts';
import { UnixMs } from './units.ts';

/** What happens to a job. */
export const JOB_KINDS = [
  'created',
  'transition',
  'went_back',
  'aborted',
  'paused',
  'resumed',
  'error',
  'attempt',
  'message',
  'note',
] as const;
/** What happens to a runner: it registered, its status was changed, it was struck. */
export const RUNNER_KINDS = ['runner_registered', 'runner_status', 'runner_struck'] as const;
/** What happens to stored files: one is not as it was stored. */
export const STORAGE_KINDS = ['storage_file_bad'] as const;
/** What somebody did through the API that is no job's: `detail.action` names it. */
export const AUDIT_KIND = 'audit';

export const EventKind = z.enum([...JOB_KINDS, ...RUNNER_KINDS, ...STORAGE_KINDS, AUDIT_KIND]);
export type EventKind = z.infer<typeof EventKind>;

/** One line of the history. */
export const Event = z.object({
  seq: z.number().int().positive(),
  job: JobId.nullable(),
  /** Null: of the whole control plane. */
  miner: MinerId.nullable(),
  runner: RunnerId.nullable(),
  /** Of the job; 0 without one. */
  generation: z.number().int(),
  atMs: UnixMs,
  /** `engine`, `operator:<token>`, `runner:<id>`, `chain`. */
  actor: z.string(),
  kind: EventKind,
  from: z.string().nullable(),
  to: z.string().nullable(),
  event: z.string().nullable(),
  detail: z.record(z.string(), z.unknown()),
  /**
   * Id of the request that brought it about, as in the log; of what a runner reported and of what an effect came to, the one that the
   * stage was granted to. Null: time did, or it was not written down yet.
   */
  request: z.string().nullable(),
});
export type Event = z.infer<typeof Event>;

/** One line of a job's history. */
export const JobEvent = Event.extend({ job: JobId });
export type JobEvent = z.infer<typeof JobEvent>;

/** An event before the store numbers it. */
export type NewEvent = Omit<Event, 'seq'>;

/** The types of events as webhooks and streams name them. */
export const EVENT_TYPES = [
  ...JOB_KINDS.map((kind) => `sector.${kind}` as const),
  'runner.registered',
  'runner.status',
  'runner.struck',
  'storage.file_bad',
  'audit',
] as const;
export const EventType = z.enum(EVENT_TYPES);
export type EventType = z.infer<typeof EventType>;

/** `transition` is `sector.transition`, `runner_status` is `runner.status`. */
export function eventType(kind: EventKind): EventType {
  if (kind === AUDIT_KIND) return kind;
  return (/^(runner|storage)_/.test(kind) ? kind.replace('_', '.') : `sector.${kind}`) as EventType;
}

/** The kind that a type names. */
export function eventKind(type: EventType): EventKind {
  if (type === AUDIT_KIND) return type;
  return (/^(runner|storage)\./.test(type) ? type.replace('.', '_') : type.slice('sector.'.length)) as EventKind;
}
