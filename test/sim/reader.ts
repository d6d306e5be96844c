/** Reads the database as it stands on the disk, over a connection and with statements of its own. */
import Database from 'better-sqlite3';

export type EventRow = {
  readonly seq: number;
  /** Null: of a runner, or of nobody. */
  readonly job: string | null;
  readonly runner: string | null;
  readonly generation: number;
  readonly at_ms: number;
  readonly actor: string;
  readonly kind: string;
  readonly from_state: string | null;
  readonly to_state: string | null;
  readonly event: string | null;
  readonly detail: string;
};
export type JobRow = {
  readonly id: string;
  readonly plan: string;
  readonly miner: string;
  readonly number: number | null;
  readonly state: string;
  readonly generation: number;
  readonly paused: number;
  readonly retries: number;
  readonly error_code: string | null;
  readonly error_message: string | null;
  readonly waiting_for: string;
  readonly thread: string | null;
  readonly data: string;
};
export type AttemptRow = {
  readonly id: string;
  readonly job: string;
  readonly stage: string;
  readonly epoch: number;
  readonly status: string;
  readonly runner: string;
  readonly granted_ms: number;
};
export type RunnerLine = {
  readonly id: string;
  readonly name: string;
  readonly status: string;
  readonly boot_id: string;
  readonly agent_version: string | null;
  readonly tests: string | null;
};
export type EffectLine = {
  readonly id: string;
  readonly job: string | null;
  readonly step: string;
  readonly generation: number;
  readonly try: number;
  readonly status: string;
  readonly sender: string | null;
  readonly nonce: number | null;
  readonly message_cid: string | null;
  readonly pushed: number;
  readonly last_error: string | null;
  readonly want: string;
};
export type ThreadLine = {
  readonly id: string;
  readonly plan: string;
  readonly miner: string | null;
  readonly enabled: number;
  readonly job: string | null;
};

export type RecordLine = {
  readonly miner: string;
  readonly number: number;
  readonly storage: string | null;
  readonly data: string;
  readonly damage: string | null;
  /** As the column has it: 1 yes, 0 no, 2 under way. */
  readonly declared: number | null;
};
export type MoveLine = { readonly number: number; readonly from_storage: string; readonly to_storage: string; readonly phase: string };
/** Room that a running attempt, or a copy, is promised. */
export type PromiseLine = { readonly id: string; readonly storage: string; readonly size_bytes: number };

/** Open for the length of one world. */
export class Reader {
  readonly #db: Database.Database;
  readonly #events: Database.Statement<[number]>;
  readonly #jobs: Database.Statement<[]>;
  readonly #running: Database.Statement<[]>;

  readonly #threads: Database.Statement<[]>;
  readonly #openEffects: Database.Statement<[]>;
  readonly #dataVersion: Database.Statement<[]>;
  readonly #collected: Database.Statement<[]>;
  readonly #records: Database.Statement<[]>;
  readonly #paths: Database.Statement<[]>;
  readonly #promised: Database.Statement<[]>;
  readonly #ofMessage: Database.Statement<[string]>;
  /** Statements by their text. */
  readonly #statements = new Map<string, Database.Statement<[]>>();
  #keysOf: Collected[] = [];
  #seen = -1;
  /** Jobs as they stood at that version of the database. */
  #jobsAt: { readonly version: number; readonly rows: readonly JobRow[] } | undefined;
  readonly #parsed = new Map<string, { readonly data: string; readonly value: unknown }>();

  constructor(path: string) {
    this.#db = new Database(path, { readonly: true });
    this.#dataVersion = this.#db.prepare('pragma data_version').pluck();
    this.#threads = this.#db.prepare('select * from threads order by id');
    this.#openEffects = this.#db.prepare("select count(*) from effects where status = 'open'").pluck();
    this.#collected = this.#db.prepare("select want from effects where step = 'Collect' order by seq").pluck();
    this.#records = this.#db.prepare('select miner, number, storage, data, damage, declared from sector_records order by miner, number');
    this.#paths = this.#db.prepare('select id, data from storage_paths');
    this.#promised = this.#db.prepare(
      "select p.attempt as id, p.storage, p.size_bytes from storage_places p join attempts a on a.id = p.attempt where a.status = 'running' " +
        "union all select miner || '/' || number || ' ' || from_storage || ' ' || to_storage, to_storage, size_bytes from storage_moves where phase = 'copy'",
    );
    this.#ofMessage = this.#db.prepare('select job from effects where message_cid = ?');
    this.#events = this.#db.prepare('select * from events where seq > ? order by seq');
    this.#jobs = this.#db.prepare('select * from jobs order by seq');
    this.#running = this.#db.prepare("select * from attempts where status = 'running' order by seq");
  }

  /** Whether anything was committed since this was asked last. */
  changed(): boolean {
    const version = this.#dataVersion.get() as number;
    if (version === this.#seen) return false;
    this.#seen = version;
    return true;
  }

  events(afterSeq: number): EventRow[] {
    return this.#events.all(afterSeq) as EventRow[];
  }

  jobs(): readonly JobRow[] {
    const version = this.#dataVersion.get() as number;
    if (this.#jobsAt?.version !== version) this.#jobsAt = { version, rows: this.#jobs.all() as JobRow[] };
    return this.#jobsAt.rows;
  }

  /** What a job's row keeps as JSON, read once as long as it stays the same. */
  dataOf<T>({ id, data }: JobRow): T {
    const known = this.#parsed.get(id);
    if (known?.data === data) return known.value as T;
    const value = JSON.parse(data) as T;
    this.#parsed.set(id, { data, value });
    return value;
  }

  running(): AttemptRow[] {
    return this.#running.all() as AttemptRow[];
  }

  runners(): RunnerLine[] {
    return this.#all('select id, name, status, boot_id, agent_version, tests from runners order by seq');
  }

  /** What is known of sectors. */
  records(): RecordLine[] {
    return this.#records.all() as RecordLine[];
  }

  /** Paths as each runner told of them last. */
  storagePaths(): { id: string; data: string }[] {
    return this.#paths.all() as { id: string; data: string }[];
  }

  promisedRoom(): PromiseLine[] {
    return this.#promised.all() as PromiseLine[];
  }

  moves(): MoveLine[] {
    return this.#all('select number, from_storage, to_storage, phase from storage_moves');
  }

  /** Storages that are being emptied. */
  draining(): string[] {
    return this.#all<{ id: string }>("select substr(key, 10) as id from meta where key like 'draining:%' and value <> ''").map(
      ({ id }) => id,
    );
  }

  attempts(): AttemptRow[] {
    return this.#all('select * from attempts order by seq');
  }

  effects(): EffectLine[] {
    return this.#all('select * from effects order by seq');
  }

  /** Keys of objects, and of uploads, that were collected so far. */
  collected(): Collected {
    const wants = this.#collected.all() as string[];
    if (wants.length !== this.#keysOf.length) this.#keysOf = wants.map((want) => keysIn(want));
    return { objects: this.#keysOf.flatMap(({ objects }) => objects), uploads: this.#keysOf.flatMap(({ uploads }) => uploads) };
  }

  jobOfMessage(cid: string): string | undefined {
    return (this.#ofMessage.get(cid) as { job: string } | undefined)?.job;
  }

  openEffects(): number {
    return this.#openEffects.get() as number;
  }

  /** Deliveries to come: made, or of events that none was made of yet. */
  openDeliveries(): number {
    const [{ open }] = this.#all<{ open: number }>(
      "select (select count(*) from deliveries where status = 'open') + (select count(*) from webhooks where cursor < (select max(seq) from events)) as open",
    ) as [{ open: number }];
    return open;
  }

  threads(): ThreadLine[] {
    return this.#threads.all() as ThreadLine[];
  }

  /** Pieces that no sector took. */
  waitingPieces(): { key: string; reserved: number }[] {
    return this.#all('select key, reserved from pieces where job is null');
  }

  uploads(): { attempt: string; key: string; upload_id: string }[] {
    return this.#all('select attempt, key, upload_id from uploads');
  }

  /** The whole database as it stands, as a file would have it. */
  copy(): Buffer {
    return this.#db.serialize();
  }

  close(): void {
    this.#db.close();
  }

  #all<T>(sql: string): T[] {
    let statement = this.#statements.get(sql);
    if (statement === undefined) this.#statements.set(sql, (statement = this.#db.prepare(sql)));
    return statement.all() as T[];
  }
}

type Collected = { readonly objects: readonly string[]; readonly uploads: readonly string[] };

function keysIn(want: string): Collected {
  const { keys, uploads = [] } = JSON.parse(want) as { keys: string[]; uploads?: { key: string }[] };
  return { objects: keys, uploads: uploads.map(({ key }) => key) };
}
