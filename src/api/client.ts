/**
 * The typed client of the HTTP API, shared by the CLI, the agent and the page. Works wherever `fetch` does.
 * A refusal is thrown as `ApiError` with the problem document; a server that cannot be reached as `Unreachable`.
 */
import type { Problem } from '../schema/problem.ts';
import type { HeartbeatAnswer, HeartbeatRequest, NextAnswer, NextRequest, RegisterAnswer, RegisterRequest } from '../schema/runner.ts';
import type { Event } from '../schema/event.ts';
import type { Collected } from '../schema/garbage.ts';
import type { SectorRecord } from '../schema/sector-record.ts';
import { type FollowOptions, followed } from './follow.ts';
import type { ImportAnswer, SectorRecordPage } from './inventory.ts';
import type { MoveView, StorageAnswer, StorageView, StoredSectorView } from './storage-views.ts';
import type {
  AbortRequest,
  ApiTokenRequest,
  JoinTokenRequest,
  PauseRequest,
  PledgeRequest,
  ResumeRequest,
  RotateRequest,
  SettingsPatch,
} from './requests.ts';
import type {
  ActedView,
  Explanation,
  JoinToken,
  JoinTokenView,
  NewToken,
  PieceView,
  RunnerLog,
  RunnerView,
  SectorDetail,
  SectorPage,
  SectorView,
  SettingsView,
  ThreadView,
  TokenView,
  UnsealedPiece,
  WorkerView,
} from './views.ts';
import type { DeliveryPage, DeliveryView, NewWebhook, WebhookPatch, WebhookRequest, WebhookView } from './webhook-views.ts';

export type * from './views.ts';
export type { Event, EventType } from '../schema/event.ts';
export type { Collected } from '../schema/garbage.ts';
export type { FollowOptions } from './follow.ts';
export type * from './webhook-views.ts';
export type * from './storage-views.ts';
export type { ImportAnswer } from './inventory.ts';

/** A refusal by the server. `problem.detail` is a sentence for people, `problem.code` for programs. */
export class ApiError extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.detail);
    this.name = 'ApiError';
    this.problem = problem;
  }
}

/** The server did not answer at all, or not in its language. */
export class Unreachable extends Error {
  constructor(url: string, why: string) {
    super(`${url} does not answer (${why}); start the control plane with \`sealpool serve\`, or name another one with --url`);
    this.name = 'Unreachable';
  }
}

/** A request as it is about to be sent; the token is left out. */
export type Sent = {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Undefined without one, and for raw bytes. */
  readonly body: unknown;
  /** Raw bytes are sent. */
  readonly raw: boolean;
};

export type ClientOptions = {
  readonly baseUrl: string;
  /** API token, or a runner's credential. */
  readonly token?: string | undefined;
  readonly fetch?: typeof fetch;
  /** Called before each request, for `--verbose`. */
  readonly onSend?: (sent: Sent) => void;
};

/** What `events` asks for besides the place to begin. */
export type EventFilter = Pick<FollowOptions, 'type' | 'sector' | 'miner' | 'runner'>;

/** The header with `sha256:` and 64 hex digits of a backup's bytes. */
const BACKUP_HASH = 'x-sealpool-hash';

export type SectorFilter = {
  readonly state?: string | undefined;
  readonly plan?: string | undefined;
  readonly miner?: string | undefined;
  readonly paused?: boolean | undefined;
  readonly error?: string | undefined;
  readonly cursor?: string | undefined;
  readonly limit?: number | undefined;
};

/** Raw bytes to send: whole, or as a stream. */
export type RawBody = Uint8Array | ReadableStream<Uint8Array>;

/** With an idempotency key, a request that is sent again makes nothing and gets the first answer (for 24 hours at least). */
export type Creating = { readonly idempotencyKey?: string | undefined };

type Call = Creating & {
  query?: Readonly<Record<string, string | number | boolean | undefined>> | undefined;
  body?: unknown;
  raw?: RawBody | undefined;
  signal?: AbortSignal | undefined;
};

const why = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  return cause instanceof Error ? ((cause as { code?: string }).code ?? cause.message) : error.message;
};

const asQuery = ({ type, sector, miner, runner }: EventFilter) => ({ type: type?.toString(), sector, miner, runner });

/** The API's calls as functions. One instance may be used for many calls at once. */
export function createClient(options: ClientOptions) {
  const base = options.baseUrl.replace(/\/+$/, '');
  const send = options.fetch ?? fetch;

  async function response(method: string, path: string, call: Call = {}, headers: Record<string, string> = {}): Promise<Response> {
    const url = new URL(base + path);
    for (const [key, value] of Object.entries(call.query ?? {})) if (value !== undefined) url.searchParams.set(key, String(value));
    const body = call.raw ?? (call.body === undefined ? undefined : JSON.stringify(call.body));
    const shown = {
      accept: 'application/json',
      ...(call.body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(call.idempotencyKey === undefined ? {} : { 'idempotency-key': call.idempotencyKey }),
      ...headers,
    };
    options.onSend?.({
      method,
      url: url.href,
      headers: shown,
      body: call.raw === undefined ? call.body : undefined,
      raw: call.raw !== undefined,
    });
    let answer: Response;
    try {
      answer = await send(url.href, {
        method,
        headers: { ...shown, ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }) },
        ...(body === undefined ? {} : { body, duplex: 'half' }),
        ...(call.signal === undefined ? {} : { signal: call.signal }),
      } as RequestInit);
    } catch (error) {
      if (call.signal?.aborted === true) throw error;
      throw new Unreachable(base, why(error));
    }
    if (answer.ok) return answer;
    const text = await answer.text();
    if (!(answer.headers.get('content-type') ?? '').includes('application/problem+json')) {
      throw new Unreachable(base, `it answered ${answer.status} without a problem document`);
    }
    throw new ApiError(JSON.parse(text) as Problem);
  }

  async function call<T>(method: string, path: string, options_: Call = {}): Promise<T> {
    const answer = await response(method, path, options_);
    return (answer.status === 204 ? undefined : await answer.json()) as T;
  }

  const at = encodeURIComponent;
  const sector = (ref: string) => `/v1/sectors/${at(ref)}`;
  const thread = (worker: string, index: number) => `/v1/workers/${at(worker)}/threads/${index}`;

  return {
    plans: () => call<Record<string, Record<string, Record<string, string>>>>('GET', '/v1/plans'),
    pledge: (body: PledgeRequest, creating: Creating = {}) => call<{ items: SectorView[] }>('POST', '/v1/sectors', { ...creating, body }),
    sectors: (query: SectorFilter = {}) => call<SectorPage>('GET', '/v1/sectors', { query }),
    sector: (ref: string) => call<SectorDetail>('GET', sector(ref)),
    pause: (ref: string, body: PauseRequest = {}) => call<SectorView>('POST', `${sector(ref)}/pause`, { body }),
    resume: (ref: string, body: ResumeRequest = {}) => call<ActedView>('POST', `${sector(ref)}/resume`, { body }),
    abort: (ref: string, body: AbortRequest = {}) => call<ActedView>('POST', `${sector(ref)}/abort`, { body }),
    explain: (ref: string) => call<Explanation>('GET', `${sector(ref)}/explain`),
    /** Where the data of a finished unseal job can be fetched; by a sector's name that of its newest one. */
    pieceData: (ref: string) => call<UnsealedPiece>('GET', `${sector(ref)}/piece`),
    /** Takes over at most 500 records, in one transaction. */
    importSectors: (records: readonly SectorRecord[], creating: Creating = {}) =>
      call<ImportAnswer>('POST', '/v1/sectors/import', { ...creating, body: { records } }),
    exportSectors: (query: { miner?: string | undefined; cursor?: string | undefined; limit?: number | undefined } = {}) =>
      call<SectorRecordPage>('GET', '/v1/sectors/export', { query }),
    workers: () => call<{ items: WorkerView[] }>('GET', '/v1/workers'),
    worker: (name: string) => call<WorkerView>('GET', `/v1/workers/${at(name)}`),
    pauseThread: (worker: string, index: number, body: PauseRequest = {}) =>
      call<SectorView>('POST', `${thread(worker, index)}/pause`, { body }),
    resumeThread: (worker: string, index: number, body: ResumeRequest = {}) =>
      call<ActedView>('POST', `${thread(worker, index)}/resume`, { body }),
    abortThread: (worker: string, index: number, body: AbortRequest = {}) =>
      call<ActedView>('POST', `${thread(worker, index)}/abort`, { body }),
    /** On: it takes sectors. Off: it finishes the one it has and takes no other. */
    switchThread: (worker: string, index: number, on: boolean) =>
      call<ThreadView>('POST', `${thread(worker, index)}/${on ? 'enable' : 'disable'}`, { body: {} }),
    settings: () => call<SettingsView>('GET', '/v1/settings'),
    setSettings: (body: SettingsPatch) => call<SettingsView>('PATCH', '/v1/settings', { body }),
    createJoinToken: (body: JoinTokenRequest, creating: Creating = {}) =>
      call<JoinToken>('POST', '/v1/runners/tokens', { ...creating, body }),
    /** Those that may still be used. */
    joinTokens: () => call<{ items: JoinTokenView[] }>('GET', '/v1/runners/tokens'),
    revokeJoinToken: (id: string) => call<JoinTokenView>('DELETE', `/v1/runners/tokens/${at(id)}`),
    runners: () => call<{ items: RunnerView[] }>('GET', '/v1/runners'),
    runner: (id: string) => call<RunnerView>('GET', `/v1/runners/${at(id)}`),
    /** Its attempts, newest first, each with the end of its log. */
    runnerLogs: (id: string, limit = 20) => call<{ items: RunnerLog[] }>('GET', `/v1/runners/${at(id)}/logs`, { query: { limit } }),
    /** `drain`: finish what runs, take nothing new. `cordon`: the same until `uncordon` lifts it. `ban`: its credential ends now. */
    runnerAction: (id: string, action: 'drain' | 'cordon' | 'uncordon' | 'ban') =>
      call<RunnerView>('POST', `/v1/runners/${at(id)}/${action}`, { body: {} }),
    /** Paths of miner storage. */
    storage: () => call<{ items: StorageView[] }>('GET', '/v1/storage'),
    /** Where a sector's files are (`s-t01000-7`). */
    storedSector: (sector: string) => call<StoredSectorView>('GET', `/v1/storage/sectors/${at(sector)}`),
    /** `cordon`: no new sectors go there until `uncordon` lifts it. */
    storageAction: (id: string, action: 'cordon' | 'uncordon') =>
      call<{ items: StorageView[] }>('POST', `/v1/storage/${at(id)}/${action}`, { body: {} }),
    /** Moves its sectors to other paths of its runner, until `uncordon`. `force`: also where nobody is told that they are elsewhere. */
    drainStorage: (id: string, force = false) => call<{ items: StorageView[] }>('POST', `/v1/storage/${at(id)}/drain`, { body: { force } }),
    /** Sectors whose files are on their way from one storage to another. */
    storageMoves: () => call<{ items: MoveView[] }>('GET', '/v1/storage/moves'),
    /** Moves the files of sectors (`s-t01000-7`) to another storage of their runner. `force`: also where nobody is told that they are elsewhere. */
    moveStored: (body: { sectors: readonly string[]; to: string; force?: boolean }, creating: Creating = {}) =>
      call<{ items: MoveView[] }>('POST', '/v1/storage/moves', { body, ...creating }),
    /** Ends moves that were asked for; answers those that were under way. */
    stopMoves: (sectors: readonly string[]) => call<{ items: MoveView[] }>('POST', '/v1/storage/moves/stop', { body: { sectors } }),
    /** Has all files there read against their hashes. */
    scrub: (id: string, creating: Creating = {}) => call<StorageAnswer>('POST', `/v1/storage/${at(id)}/scrub`, { body: {}, ...creating }),
    /** Has whoever does Window PoSt told of sectors there that nobody was told of; 500 at most with one call. */
    declareStored: (id: string, creating: Creating = {}) =>
      call<StorageAnswer>('POST', `/v1/storage/${at(id)}/declare`, { body: {}, ...creating }),
    register: (body: RegisterRequest) => call<RegisterAnswer>('POST', '/v1/runners/register', { body }),
    next: (body: NextRequest, signal?: AbortSignal) => call<NextAnswer>('POST', '/v1/runners/self/next', { body, signal }),
    heartbeat: (body: HeartbeatRequest) => call<HeartbeatAnswer>('POST', '/v1/runners/self/heartbeat', { body }),
    /** Events after a number, oldest first; `now`: none yet, but the number of the newest one. */
    events: (after: number | 'now' = 0, limit = 200, filter: EventFilter = {}) =>
      call<{ items: Event[]; after: number }>('GET', '/v1/events', { query: { after, limit, ...asQuery(filter) } }),
    /** Events as they happen until the signal aborts. Connections that break are made again: nothing is missed, nothing comes twice. */
    async *follow(following: FollowOptions = {}): AsyncGenerator<Event> {
      const { after = 0, signal } = following;
      const query = asQuery(following);
      const start =
        after === 'now' ? (await call<{ after: number }>('GET', '/v1/events', { query: { after, limit: 1 }, signal })).after : after;
      const open = async (last: number, until: AbortSignal) => {
        const headers = { accept: 'text/event-stream', ...(last === 0 ? {} : { 'last-event-id': String(last) }) };
        return (await response('GET', '/v1/events', { query, signal: until }, headers)).body;
      };
      const final = (error: unknown): boolean => error instanceof ApiError && error.problem.status < 500 && error.problem.status !== 429;
      yield* followed(open, start, following, final);
    },
    /** Streams raw bytes; without `sizeBytes` a piece that is too large is noticed only under way. `reserved`: for a request that names it. */
    addPiece: async (miner: string, body: RawBody, sizeBytes?: number, reserved = false, creating: Creating = {}) => {
      const headers: Record<string, string> = { 'content-type': 'application/octet-stream' };
      if (sizeBytes !== undefined) headers['x-piece-size'] = String(sizeBytes);
      const answer = await response(
        'POST',
        '/v1/pieces',
        { ...creating, query: reserved ? { miner, reserved } : { miner }, raw: body },
        headers,
      );
      return (await answer.json()) as PieceView;
    },
    pieces: (miner: string, reserved = false) =>
      call<{ items: PieceView[] }>('GET', '/v1/pieces', { query: reserved ? { miner, reserved } : { miner } }),
    createToken: (body: ApiTokenRequest, creating: Creating = {}) => call<NewToken>('POST', '/v1/tokens', { ...creating, body }),
    /** A new secret; the older one goes on for `graceMs`, a day unless it is said. */
    rotateToken: (id: string, body: RotateRequest = {}) => call<NewToken>('POST', `/v1/tokens/${at(id)}/rotate`, { body }),
    tokens: () => call<{ items: TokenView[] }>('GET', '/v1/tokens'),
    revokeToken: (id: string) => call<TokenView>('DELETE', `/v1/tokens/${at(id)}`),
    /** A copy of the whole database while the control plane goes on; the body is to be compared with size and hash. */
    backup: async () => {
      const answer = await response('POST', '/v1/backup', { body: {} });
      if (answer.body === null) throw new Unreachable(base, 'the backup has no body');
      return { sizeBytes: Number(answer.headers.get('content-length')), hash: answer.headers.get(BACKUP_HASH) ?? '', body: answer.body };
    },
    /** What no job needs of object storage. `unknown`: with what the database knows nothing of. */
    garbage: (unknown = false) => call<Collected>('GET', '/v1/objects/garbage', { query: unknown ? { unknown } : {} }),
    /** Removes it: written down at once, deleted soon after. */
    collectGarbage: (unknown = false) => call<Collected>('POST', '/v1/objects/garbage/collect', { body: unknown ? { unknown } : {} }),
    createWebhook: (body: WebhookRequest) => call<NewWebhook>('POST', '/v1/webhooks', { body }),
    webhooks: () => call<{ items: WebhookView[] }>('GET', '/v1/webhooks'),
    webhook: (id: string) => call<WebhookView>('GET', `/v1/webhooks/${at(id)}`),
    /** With `version`: refused (`changed_meanwhile`) when it is another one by now. */
    updateWebhook: async (id: string, body: WebhookPatch, version?: number) => {
      const headers: Record<string, string> = version === undefined ? {} : { 'if-match': `"${version}"` };
      return (await (await response('PATCH', `/v1/webhooks/${at(id)}`, { body }, headers)).json()) as WebhookView;
    },
    deleteWebhook: (id: string) => call<WebhookView>('DELETE', `/v1/webhooks/${at(id)}`),
    rotateWebhook: (id: string) => call<NewWebhook>('POST', `/v1/webhooks/${at(id)}/rotate`, { body: {} }),
    switchWebhook: (id: string, on: boolean) =>
      call<WebhookView>('POST', `/v1/webhooks/${at(id)}/${on ? 'enable' : 'disable'}`, { body: {} }),
    testWebhook: (id: string) => call<DeliveryView>('POST', `/v1/webhooks/${at(id)}/test`, { body: {} }),
    deliveries: (id: string, query: { cursor?: string | undefined; limit?: number | undefined } = {}) =>
      call<DeliveryPage>('GET', `/v1/webhooks/${at(id)}/deliveries`, { query }),
    redeliver: (id: string, delivery: string) =>
      call<DeliveryView>('POST', `/v1/webhooks/${at(id)}/deliveries/${at(delivery)}/redeliver`, { body: {} }),
    ready: () => call<{ ready: true; checks: { name: string; ok: boolean; detail: string }[] }>('GET', '/readyz'),
  };
}

export type Client = ReturnType<typeof createClient>;
