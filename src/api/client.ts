/**
 * The typed client of the HTTP API, shared by the CLI, the agent and the page. Works wherever `fetch` does.
 * A refusal is thrown as `ApiError` with the problem document; a server that cannot be reached as `Unreachable`.
 */
import type { Problem } from '../schema/problem.ts';
import type { HeartbeatAnswer, HeartbeatRequest, NextAnswer, NextRequest, RegisterAnswer, RegisterRequest } from '../schema/runner.ts';
import type { JobEvent } from '../schema/event.ts';
import type { SectorRecord } from '../schema/sector-record.ts';
import type { ImportAnswer, SectorRecordPage } from './inventory.ts';
import type {
  AbortRequest,
  ApiTokenRequest,
  JoinTokenRequest,
  PauseRequest,
  PledgeRequest,
  ResumeRequest,
  SettingsPatch,
} from './requests.ts';
import type {
  ActedView,
  Explanation,
  JoinToken,
  NewToken,
  PieceView,
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
export type * from './webhook-views.ts';
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
export type Sent = { readonly method: string; readonly url: string; readonly body: unknown };

export type ClientOptions = {
  readonly baseUrl: string;
  /** API token, or a runner's credential. */
  readonly token?: string | undefined;
  readonly fetch?: typeof fetch;
  /** Called before each request, for `--verbose`. */
  readonly onSend?: (sent: Sent) => void;
};

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

type Call = {
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

/** Events of a stream (SSE). A connection that breaks ends it like a server that ends. */
async function* eventsOf(body: ReadableStream<Uint8Array>): AsyncGenerator<JobEvent> {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  try {
    for (;;) {
      const { done, value } = await reader.read().catch(() => ({ done: true, value: '' }));
      if (done) return;
      const blocks = (text + value).split('\n\n');
      text = blocks.pop() ?? '';
      for (const block of blocks) {
        const lines = block.split('\n').filter((line) => line.startsWith('data:'));
        if (lines.length > 0) yield JSON.parse(lines.map((line) => line.slice(5).trimStart()).join('\n')) as JobEvent;
      }
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

/** The API's calls as functions. One instance may be used for many calls at once. */
export function createClient(options: ClientOptions) {
  const base = options.baseUrl.replace(/\/+$/, '');
  const send = options.fetch ?? fetch;

  async function response(method: string, path: string, call: Call = {}, headers: Record<string, string> = {}): Promise<Response> {
    const url = new URL(base + path);
    for (const [key, value] of Object.entries(call.query ?? {})) if (value !== undefined) url.searchParams.set(key, String(value));
    const body = call.raw ?? (call.body === undefined ? undefined : JSON.stringify(call.body));
    options.onSend?.({ method, url: url.href, body: call.raw === undefined ? call.body : undefined });
    let answer: Response;
    try {
      answer = await send(url.href, {
        method,
        headers: {
          accept: 'application/json',
          ...(call.body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
          ...headers,
        },
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
    pledge: (body: PledgeRequest) => call<{ items: SectorView[] }>('POST', '/v1/sectors', { body }),
    sectors: (query: SectorFilter = {}) => call<SectorPage>('GET', '/v1/sectors', { query }),
    sector: (ref: string) => call<SectorDetail>('GET', sector(ref)),
    pause: (ref: string, body: PauseRequest = {}) => call<SectorView>('POST', `${sector(ref)}/pause`, { body }),
    resume: (ref: string, body: ResumeRequest = {}) => call<ActedView>('POST', `${sector(ref)}/resume`, { body }),
    abort: (ref: string, body: AbortRequest = {}) => call<ActedView>('POST', `${sector(ref)}/abort`, { body }),
    explain: (ref: string) => call<Explanation>('GET', `${sector(ref)}/explain`),
    /** Where the data of a finished unseal job can be fetched; by a sector's name that of its newest one. */
    pieceData: (ref: string) => call<UnsealedPiece>('GET', `${sector(ref)}/piece`),
    /** Takes over at most 500 records, in one transaction. */
    importSectors: (records: readonly SectorRecord[]) => call<ImportAnswer>('POST', '/v1/sectors/import', { body: { records } }),
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
    createJoinToken: (body: JoinTokenRequest) => call<JoinToken>('POST', '/v1/runners/tokens', { body }),
    runners: () => call<{ items: RunnerView[] }>('GET', '/v1/runners'),
    /** `drain`: finish what runs, take nothing new. `cordon`: the same until lifted. `ban`: its credential ends now. */
    runnerAction: (id: string, action: 'drain' | 'cordon' | 'ban') =>
      call<RunnerView>('POST', `/v1/runners/${at(id)}/${action}`, { body: {} }),
    register: (body: RegisterRequest) => call<RegisterAnswer>('POST', '/v1/runners/register', { body }),
    next: (body: NextRequest, signal?: AbortSignal) => call<NextAnswer>('POST', '/v1/runners/self/next', { body, signal }),
    heartbeat: (body: HeartbeatRequest) => call<HeartbeatAnswer>('POST', '/v1/runners/self/heartbeat', { body }),
    events: (after = 0, limit = 200) => call<{ items: JobEvent[]; after: number }>('GET', '/v1/events', { query: { after, limit } }),
    /** Events as they happen, from `after` on, until the signal aborts or the stream ends, for whatever reason: then ask again from the last one seen. */
    async *follow(after: number, signal?: AbortSignal): AsyncGenerator<JobEvent> {
      const answer = await response('GET', '/v1/events', { query: { after }, signal }, { accept: 'text/event-stream' });
      if (answer.body === null) return;
      yield* eventsOf(answer.body);
    },
    /** Streams raw bytes; without `sizeBytes` a piece that is too large is noticed only under way. `reserved`: for a request that names it. */
    addPiece: async (miner: string, body: RawBody, sizeBytes?: number, reserved = false) => {
      const headers: Record<string, string> = { 'content-type': 'application/octet-stream' };
      if (sizeBytes !== undefined) headers['x-piece-size'] = String(sizeBytes);
      const answer = await response('POST', '/v1/pieces', { query: reserved ? { miner, reserved } : { miner }, raw: body }, headers);
      return (await answer.json()) as PieceView;
    },
    pieces: (miner: string, reserved = false) =>
      call<{ items: PieceView[] }>('GET', '/v1/pieces', { query: reserved ? { miner, reserved } : { miner } }),
    createToken: (body: ApiTokenRequest) => call<NewToken>('POST', '/v1/tokens', { body }),
    tokens: () => call<{ items: TokenView[] }>('GET', '/v1/tokens'),
    revokeToken: (id: string) => call<TokenView>('DELETE', `/v1/tokens/${at(id)}`),
    /** A copy of the whole database while the control plane goes on; the body is to be compared with size and hash. */
    backup: async () => {
      const answer = await response('POST', '/v1/backup', { body: {} });
      if (answer.body === null) throw new Unreachable(base, 'the backup has no body');
      return { sizeBytes: Number(answer.headers.get('content-length')), hash: answer.headers.get(BACKUP_HASH) ?? '', body: answer.body };
    },
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
    ready: () => call<{ ready: true }>('GET', '/readyz'),
  };
}

export type Client = ReturnType<typeof createClient>;
