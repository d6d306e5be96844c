/** The agent's side of the protocol: typed calls with time limits, answers checked, no redirect followed. */
import { type Client, createClient } from '../api/client.ts';
import {
  HeartbeatAnswer,
  type HeartbeatRequest,
  NextAnswer,
  type NextRequest,
  RegisterAnswer,
  type RegisterRequest,
} from '../schema/runner.ts';

const CALL_MS = 10_000;
/**
 * A call with reports: the control plane copies all parts of large outputs into one file before it answers,
 * and a report that is sent again meanwhile only waits beside it. `fetch` itself waits no longer for an answer.
 */
const REPORT_CALL_MS = 300_000;
/** Shorter: a lost heartbeat must leave time for another one before the lease ends. */
const HEARTBEAT_MS = 5_000;

/** Calls of a runner; `credential` is undefined until it has registered. */
export class ControlPlane {
  readonly #url: string;
  #client: Client;
  #heart: Client;
  #heardMs = performance.now();

  constructor(url: string, credential: string | undefined) {
    this.#url = url;
    this.#client = clientOf(url, credential, CALL_MS);
    this.#heart = clientOf(url, credential, HEARTBEAT_MS);
  }

  /** How long it has not answered a question or a heartbeat. */
  get silentMs(): number {
    return performance.now() - this.#heardMs;
  }

  useCredential(credential: string): void {
    this.#client = clientOf(this.#url, credential, CALL_MS);
    this.#heart = clientOf(this.#url, credential, HEARTBEAT_MS);
  }

  async register(request: RegisterRequest): Promise<RegisterAnswer> {
    return RegisterAnswer.parse(await this.#client.register(request));
  }

  /** Long poll: the answer may take `request.waitMs`, with reports minutes. Rejects when `signal` aborts. */
  async next(request: NextRequest, signal: AbortSignal): Promise<NextAnswer> {
    const limitMs = request.waitMs + (request.reports.length > 0 ? REPORT_CALL_MS : CALL_MS);
    return this.#heard(NextAnswer.parse(await this.#client.next(request, AbortSignal.any([signal, AbortSignal.timeout(limitMs)]))));
  }

  async heartbeat(request: HeartbeatRequest): Promise<HeartbeatAnswer> {
    return this.#heard(HeartbeatAnswer.parse(await this.#heart.heartbeat(request)));
  }

  #heard<T>(answer: T): T {
    this.#heardMs = performance.now();
    return answer;
  }
}

function clientOf(url: string, token: string | undefined, callMs: number): Client {
  return createClient({
    baseUrl: url,
    token,
    // A redirect would carry the credential to another place.
    fetch: (target, init) => fetch(target, { ...init, redirect: 'error', signal: init?.signal ?? AbortSignal.timeout(callMs) }),
  });
}
