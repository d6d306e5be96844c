/**
 * The tables behind `Tx`, one set for both engines. Every column holds text, a number or null, so that the
 * same values bind on better-sqlite3 and on a Durable Object; booleans are 0 and 1, lists and documents are
 * JSON text. What is searched has its own column, what is only read is JSON.
 */
import { sql } from 'drizzle-orm';
import { index, integer, primaryKey, real, sqliteTable, text, uniqueIndex } from 'drizzle-orm/sqlite-core';

export { sectorRecords, storageMoves, storagePaths, storagePlaces } from './storage-tables.ts';
export { joinTokens, runners } from './runner-tables.ts';

/** Small facts: fencing epoch, when the control plane was last alive. */
export const meta = sqliteTable('meta', { key: text('key').primaryKey(), value: text('value').notNull() });

export const jobs = sqliteTable(
  'jobs',
  {
    /** Order of creation, and the cursor of listings. */
    seq: integer('seq').primaryKey({ autoIncrement: true }),
    id: text('id').notNull().unique(),
    plan: text('plan').notNull(),
    miner: text('miner').notNull(),
    number: integer('number'),
    state: text('state').notNull(),
    generation: integer('generation').notNull(),
    paused: integer('paused').notNull(),
    errorCategory: text('error_category'),
    errorCode: text('error_code'),
    errorMessage: text('error_message'),
    errorAtMs: integer('error_at_ms'),
    retries: integer('retries').notNull(),
    waitingFor: text('waiting_for').notNull(),
    /** The stage waited for or running. */
    waitingStage: text('waiting_stage'),
    /** The attempt or effect waited for. */
    waitingId: text('waiting_id'),
    /** Waiting for a runner: since; for a retry: until. */
    waitingMs: integer('waiting_ms'),
    /** Waiting for a runner: its place in the queue, as a time. */
    queueMs: integer('queue_ms'),
    thread: text('thread'),
    reservedRunner: text('reserved_runner'),
    reservedUntilMs: integer('reserved_until_ms'),
    createdMs: integer('created_ms').notNull(),
    updatedMs: integer('updated_ms').notNull(),
    data: text('data').notNull(),
  },
  (t) => [
    uniqueIndex('jobs_one_live_per_sector')
      .on(t.miner, t.number)
      .where(sql`number is not null and state not in ('Finished', 'Aborted')`),
    index('jobs_sector').on(t.miner, t.number),
    // Listings: each has all that is filtered by, newest last, so that a page is found without a row being read.
    index('jobs_listing').on(t.seq, t.state, t.plan, t.miner, t.paused, t.errorCode),
    index('jobs_state').on(t.state, t.seq, t.plan, t.miner, t.paused, t.errorCode),
    index('jobs_error')
      .on(t.errorCode, t.seq, t.state, t.plan, t.miner, t.paused)
      .where(sql`error_code is not null`),
    index('jobs_paused')
      .on(t.seq, t.state, t.plan, t.miner)
      .where(sql`paused = 1`),
    // The queues of the threads.
    index('jobs_for_thread')
      .on(t.plan, t.seq)
      .where(sql`waiting_for = 'thread' and paused = 0`),
    index('jobs_for_thread_of_miner')
      .on(t.plan, t.miner, t.seq)
      .where(sql`waiting_for = 'thread' and paused = 0`),
    index('jobs_waiting')
      .on(t.waitingFor, t.waitingMs, t.waitingStage)
      .where(sql`paused = 0`),
    // The queues of the runners, one for each stage.
    index('jobs_queue')
      .on(t.waitingStage, t.queueMs, t.seq)
      .where(sql`waiting_for = 'runner' and paused = 0`),
    index('jobs_reserved')
      .on(t.reservedRunner, t.reservedUntilMs)
      .where(sql`reserved_runner is not null`),
    index('jobs_live')
      .on(t.seq)
      .where(sql`state not in ('Finished', 'Aborted')`),
  ],
);

/** Append-only. */
export const events = sqliteTable(
  'events',
  {
    seq: integer('seq').primaryKey({ autoIncrement: true }),
    /** Null: of no job. */
    job: text('job').references(() => jobs.id),
    /** Null: of the whole control plane. */
    miner: text('miner'),
    runner: text('runner'),
    /** 0: of no job. */
    generation: integer('generation').notNull(),
    atMs: integer('at_ms').notNull(),
    actor: text('actor').notNull(),
    kind: text('kind').notNull(),
    fromState: text('from_state'),
    toState: text('to_state'),
    event: text('event'),
    detail: text('detail').notNull(),
    /** The request that brought it about. */
    request: text('request'),
  },
  // Each ends with the row's number by itself: a page of any filter is found in order.
  (t) => [
    index('events_job').on(t.job),
    index('events_miner').on(t.miner),
    index('events_kind').on(t.kind),
    index('events_runner')
      .on(t.runner)
      .where(sql`runner is not null`),
  ],
);

export const attempts = sqliteTable(
  'attempts',
  {
    seq: integer('seq').primaryKey({ autoIncrement: true }),
    id: text('id').notNull().unique(),
    job: text('job')
      .notNull()
      .references(() => jobs.id),
    stage: text('stage').notNull(),
    state: text('state').notNull(),
    generation: integer('generation').notNull(),
    epoch: integer('epoch').notNull(),
    runner: text('runner').notNull(),
    status: text('status').notNull(),
    leaseUntilMs: integer('lease_until_ms').notNull(),
    grantedMs: integer('granted_ms').notNull(),
    endedMs: integer('ended_ms'),
    fraction: real('fraction'),
    secondsLeft: real('seconds_left'),
    note: text('note'),
    logTail: text('log_tail').notNull(),
    failure: text('failure'),
    /** The request that it was granted to. */
    request: text('request'),
    /** When it last got further; null: not since it was granted. */
    progressMs: integer('progress_ms'),
    /** When it is taken away if it gets no further. */
    dueMs: integer('due_ms'),
    /** JSON: what was expected when it was granted, and until when its result is being taken. */
    expected: text('expected'),
  },
  (t) => [
    uniqueIndex('attempts_epoch').on(t.job, t.stage, t.epoch),
    index('attempts_running')
      .on(t.runner)
      .where(sql`status = 'running'`),
    index('attempts_lease')
      .on(t.leaseUntilMs)
      .where(sql`status = 'running'`),
    index('attempts_due')
      .on(t.dueMs)
      .where(sql`status = 'running'`),
    index('attempts_runner').on(t.runner),
  ],
);

/** Multipart uploads opened for an attempt's outputs. */
export const uploads = sqliteTable(
  'uploads',
  {
    attempt: text('attempt')
      .notNull()
      .references(() => attempts.id),
    name: text('name').notNull(),
    key: text('key').notNull(),
    uploadId: text('upload_id').notNull(),
  },
  (t) => [primaryKey({ columns: [t.attempt, t.name] })],
);

/** What readers check the parts of an object by; gone with the object. */
export const manifests = sqliteTable('manifests', {
  key: text('key').primaryKey(),
  partSizeBytes: integer('part_size_bytes').notNull(),
  crc32: text('crc32').notNull(),
});

export const apiTokens = sqliteTable('api_tokens', {
  seq: integer('seq').primaryKey({ autoIncrement: true }),
  id: text('id').notNull().unique(),
  hash: text('hash').notNull().unique(),
  name: text('name').notNull(),
  role: text('role').notNull(),
  miners: text('miners'),
  createdMs: integer('created_ms').notNull(),
  revokedMs: integer('revoked_ms'),
  /** Null: until it is revoked. */
  expiresMs: integer('expires_ms'),
  /** The secret before the last rotation, good until then. */
  previousHash: text('previous_hash').unique(),
  previousUntilMs: integer('previous_until_ms'),
});

/** What was answered to requests with an Idempotency-Key, so that the same one again makes nothing. */
export const answers = sqliteTable(
  'answers',
  {
    token: text('token').notNull(),
    key: text('key').notNull(),
    /** SHA-256 of method, path and body. */
    request: text('request').notNull(),
    /** JSON, without the secret where it had one: that is told once. */
    answer: text('answer'),
    createdMs: integer('created_ms').notNull(),
  },
  (t) => [primaryKey({ columns: [t.token, t.key] }), index('answers_age').on(t.createdMs)],
);

/** Where events are posted to. */
export const webhooks = sqliteTable('webhooks', {
  seq: integer('seq').primaryKey({ autoIncrement: true }),
  id: text('id').notNull().unique(),
  url: text('url').notNull(),
  description: text('description').notNull(),
  /** JSON list of event types; null: all. */
  types: text('types'),
  /** JSON list; null: all, and what is of no miner. */
  miners: text('miners'),
  allowPrivate: integer('allow_private').notNull(),
  /** Signs deliveries (`whsec_…`), so it cannot be a hash. Told once. */
  secret: text('secret').notNull(),
  status: text('status').notNull(),
  reason: text('reason'),
  /** Number of the last event that deliveries were made of. */
  cursor: integer('cursor').notNull(),
  /** Rises with each change by hand: the ETag. */
  version: integer('version').notNull(),
  failingSinceMs: integer('failing_since_ms'),
  createdMs: integer('created_ms').notNull(),
});

/** One event on its way to one webhook; the row is its log too. */
export const deliveries = sqliteTable(
  'deliveries',
  {
    seq: integer('seq').primaryKey({ autoIncrement: true }),
    id: text('id').notNull().unique(),
    webhook: text('webhook').notNull(),
    /** `webhook-id`: the same on every try. */
    message: text('message').notNull(),
    type: text('type').notNull(),
    /** Null: a test. */
    event: integer('event'),
    status: text('status').notNull(),
    tries: integer('tries').notNull(),
    dueMs: integer('due_ms').notNull(),
    lastStatus: integer('last_status'),
    lastError: text('last_error'),
    createdMs: integer('created_ms').notNull(),
    endedMs: integer('ended_ms'),
  },
  (t) => [
    index('deliveries_due')
      .on(t.webhook, t.dueMs)
      .where(sql`status = 'open'`),
    index('deliveries_log').on(t.webhook, t.seq),
    index('deliveries_ended')
      .on(t.endedMs)
      .where(sql`status <> 'open'`),
  ],
);

export const pieces = sqliteTable(
  'pieces',
  {
    seq: integer('seq').primaryKey({ autoIncrement: true }),
    id: text('id').notNull().unique(),
    miner: text('miner').notNull(),
    key: text('key').notNull(),
    sizeBytes: text('size_bytes').notNull(),
    hash: text('hash').notNull(),
    paddedSizeBytes: text('padded_size_bytes').notNull(),
    cid: text('cid'),
    job: text('job'),
    /** 1: only a request that names it takes it. */
    reserved: integer('reserved').notNull().default(0),
    createdMs: integer('created_ms').notNull(),
  },
  (t) => [
    index('pieces_waiting')
      .on(t.miner, t.reserved)
      .where(sql`job is null`),
  ],
);

export const threads = sqliteTable(
  'threads',
  {
    id: text('id').primaryKey(),
    worker: text('worker').notNull(),
    position: integer('position').notNull(),
    plan: text('plan').notNull(),
    miner: text('miner'),
    auto: integer('auto').notNull(),
    enabled: integer('enabled').notNull(),
    job: text('job'),
  },
  (t) => [
    index('threads_free')
      .on(t.worker, t.position)
      .where(sql`enabled = 1 and job is null`),
  ],
);

/** The outbox. */
export const effects = sqliteTable(
  'effects',
  {
    seq: integer('seq').primaryKey({ autoIncrement: true }),
    id: text('id').notNull().unique(),
    job: text('job'),
    step: text('step').notNull(),
    generation: integer('generation').notNull(),
    try: integer('try').notNull(),
    want: text('want').notNull(),
    status: text('status').notNull(),
    sender: text('sender'),
    nonce: integer('nonce'),
    messageCid: text('message_cid'),
    signed: text('signed'),
    pushed: integer('pushed').notNull(),
    dueMs: integer('due_ms').notNull(),
    failures: integer('failures').notNull(),
    lastError: text('last_error'),
    createdMs: integer('created_ms').notNull(),
    /** The request that wanted it. */
    request: text('request'),
  },
  (t) => [
    uniqueIndex('effects_once').on(t.job, t.step, t.generation, t.try),
    index('effects_due')
      .on(t.dueMs)
      .where(sql`status = 'open'`),
    index('effects_nonce')
      .on(t.sender, t.nonce)
      .where(sql`sender is not null`),
    index('effects_unpushed')
      .on(t.sender, t.nonce)
      .where(sql`status = 'open' and pushed = 0`),
  ],
);
