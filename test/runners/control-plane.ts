/**
 * A small control plane for the agent's tests: the real protocol over HTTP, every request parsed strictly,
 * a real local object store behind it. Tests queue grants and see what is reported.
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import type { z } from 'zod';
import { type LocalObjects, openLocalObjects } from '../../src/objects/local.ts';
import { objectRoutes } from '../../src/objects/routes.ts';
import { AttemptId } from '../../src/schema/ids.ts';
import {
  type Checkpoint,
  type Grant,
  HeartbeatRequest,
  type HeartbeatUrls,
  type NextAnswer,
  NextRequest,
  RegisterRequest,
  type Report,
  type RenewedUrls,
  type ReportStatus,
} from '../../src/schema/runner.ts';
import type { Stage, Work } from '../../src/schema/stage.ts';
import { SealpoolError, toProblem } from '../../src/schema/problem.ts';

import type { StoredCheck, StoredCheckAnswer } from '../../src/schema/stored-check.ts';
import type { StoredMove, StoredMoveAnswer } from '../../src/schema/stored-move.ts';

type Status = z.infer<typeof ReportStatus>;
const HOUR_MS = 3_600_000;

export type GrantWish = {
  stage?: Stage;
  work: z.input<typeof Work>;
  /** Content by name. */
  inputs?: Record<string, Buffer>;
  /** Largest size by name; all required unless in `optional`. */
  outputs?: Record<string, number>;
  optional?: readonly string[];
  /** Changes the grant before it is given. */
  edit?: (grant: Grant) => Grant;
};

export class TestControlPlane {
  url = '';
  objects!: LocalObjects;
  readonly joinTokens = new Set<string>();
  readonly registrations: RegisterRequest[] = [];
  readonly nexts: NextRequest[] = [];
  readonly heartbeats: HeartbeatRequest[] = [];
  readonly reports: Report[] = [];
  readonly credentials = new Set<string>();
  /** Requests that did not parse: must stay empty. */
  readonly malformed: string[] = [];
  /** Checkpoints as they came. */
  readonly checkpoints: Checkpoint[] = [];
  /** Keys that the next answer tells to forget. */
  readonly forget: string[] = [];
  /** Bytes of objects that were fetched. */
  fetchedBytes = 0;
  /** How the next reports of an attempt are answered, in order; then `accepted`. */
  readonly statuses = new Map<string, Status[]>();
  readonly cancelled = new Set<string>();
  /** Told with every answer. */
  upgrade: NextAnswer['upgrade'];
  /** Given to whoever asks for one. */
  probe: NextAnswer['probe'];
  /** Handed out with the next answer. */
  readonly checks: StoredCheck[] = [];
  readonly checked: StoredCheckAnswer[] = [];
  readonly moves: StoredMove[] = [];
  readonly moved: StoredMoveAnswer[] = [];
  heartbeatMs = 25;
  pollMs = 10_000;
  /** When set, every call of an agent is answered so. */
  failWith: number | undefined;
  readonly #grants: Grant[] = [];
  readonly #wakers = new Set<() => void>();
  #server!: ReturnType<typeof serve>;
  #dataDir = '';
  #port = 0;

  static async start(): Promise<TestControlPlane> {
    const plane = new TestControlPlane();
    plane.#dataDir = await mkdtemp(join(tmpdir(), 'plane-'));
    plane.objects = await openLocalObjects({
      dataDir: plane.#dataDir,
      publicUrl: () => plane.url,
      now: Date.now,
      partSizeBytes: 64 * 1024,
    });
    await plane.listen();
    return plane;
  }

  /** Serves (again, on the same port, after `unreachable`). */
  async listen(): Promise<void> {
    const server = serve({ fetch: this.#app().fetch, port: this.#port, hostname: '127.0.0.1' });
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      if (server.listening) resolve();
      else server.once('listening', () => resolve());
    });
    this.#port = (server.address() as AddressInfo).port;
    this.url = `http://127.0.0.1:${this.#port}`;
  }

  /** Closes the port and every connection, as a crash does. */
  async unreachable(): Promise<void> {
    const server = this.#server;
    await new Promise((resolve) => {
      server.close(resolve);
      if ('closeAllConnections' in server) server.closeAllConnections();
    });
  }

  async close(): Promise<void> {
    await this.unreachable();
    await rm(this.#dataDir, { recursive: true, force: true });
  }

  newToken(): string {
    const token = `sp-join-${randomBytes(12).toString('hex')}`;
    this.joinTokens.add(token);
    return token;
  }

  async grant(wish: GrantWish): Promise<Grant> {
    const attempt = AttemptId.parse(`a-${randomBytes(6).toString('hex')}`);
    const inputs: Grant['inputs'] = [];
    for (const [name, bytes] of Object.entries(wish.inputs ?? {})) {
      const key = `inputs/${attempt}/${name}`;
      const { sizeBytes, hash } = await this.objects.put(
        key,
        (async function* () {
          yield bytes;
        })(),
        bytes.length,
      );
      inputs.push({ name, url: await this.objects.getUrl(key, HOUR_MS), sizeBytes: String(sizeBytes), hash });
    }
    const outputs: Grant['outputs'] = [];
    for (const [name, maxSizeBytes] of Object.entries(wish.outputs ?? {})) {
      const { uploadId, partSizeBytes, partUrls } = await this.objects.createUpload(`outputs/${attempt}/${name}`, maxSizeBytes, HOUR_MS);
      this.#uploads.set(`${attempt}/${name}`, uploadId);
      outputs.push({
        name,
        maxSizeBytes: String(maxSizeBytes),
        partSizeBytes,
        partUrls: [...partUrls],
        required: !(wish.optional ?? []).includes(name),
      });
    }
    const grant: Grant = { attempt, epoch: 1, stage: wish.stage ?? 'PC1', work: wish.work as Work, inputs, outputs, leaseMs: 20_000 };
    this.#grants.push(wish.edit?.(grant) ?? grant);
    for (const wake of this.#wakers) wake();
    return grant;
  }

  readonly #uploads = new Map<string, string>();

  /** Completes an upload as the real one does after a report, and reads it back. */
  async output(report: Report, name: string): Promise<Buffer> {
    if (report.outcome !== 'done') throw new Error(`attempt ${report.attempt} failed: ${report.message}`);
    const found = report.outputs.find((output) => output.name === name);
    if (found === undefined) throw new Error(`no output ${name}`);
    const key = `outputs/${report.attempt}/${name}`;
    await this.objects.completeUpload(key, this.#uploads.get(`${report.attempt}/${name}`) as string, found.parts, Number(found.sizeBytes));
    return Buffer.from(await (await fetch(await this.objects.getUrl(key, HOUR_MS))).arrayBuffer());
  }

  /** Answers whoever waits. */
  wake(): void {
    for (const wake of this.#wakers) wake();
  }

  reportOf(attempt: string): Report | undefined {
    return this.reports.find((report) => report.attempt === attempt);
  }

  #app(): Hono {
    const app = new Hono();
    app.use('/objects/*', async (c, next) => {
      await next();
      if (c.req.method === 'GET') this.fetchedBytes += Number(c.res.headers.get('content-length'));
    });
    app.route('/', objectRoutes(this.objects));
    app.onError((error) => {
      const problem = toProblem(error);
      return new Response(JSON.stringify(problem), { status: problem.status, headers: { 'content-type': 'application/problem+json' } });
    });
    app.use('/v1/*', async (_c, next) => {
      if (this.failWith !== undefined) return new Response('away', { status: this.failWith });
      return next();
    });
    app.use('/v1/runners/self/*', async (c, next) => {
      const credential = /^Bearer (.+)$/.exec(c.req.header('authorization') ?? '')?.[1];
      if (credential === undefined || !this.credentials.has(credential)) {
        throw new SealpoolError('unauthorized', 'credential', 'this credential is not known; register again');
      }
      return next();
    });
    app.post('/v1/runners/register', async (c) => {
      const request = this.#parse(RegisterRequest, await c.req.json());
      if (!this.joinTokens.delete(request.token))
        throw new SealpoolError('unauthorized', 'join_token', 'this join token is used; ask for a new one');
      this.registrations.push(request);
      const credential = `sp-run-${randomBytes(16).toString('hex')}`;
      this.credentials.add(credential);
      return c.json({
        runnerId: `r-${randomBytes(6).toString('hex')}`,
        credential,
        heartbeatMs: this.heartbeatMs,
        leaseMs: 20_000,
        pollMs: this.pollMs,
      });
    });
    app.post('/v1/runners/self/next', async (c) => {
      const request = this.#parse(NextRequest, await c.req.json());
      this.nexts.push(request);
      this.checked.push(...(request.checked ?? []));
      this.moved.push(...(request.moved ?? []));
      const reports = request.reports.map((report) => {
        this.reports.push(report);
        return { attempt: report.attempt, status: this.statuses.get(report.attempt)?.shift() ?? ('accepted' as const), message: '' };
      });
      if (request.waitMs > 0 && request.freeSlots > 0 && this.#grants.length + this.checks.length + this.moves.length === 0)
        await this.#held(request.waitMs, c.req.raw.signal);
      const grants = this.#grants.splice(0, request.freeSlots);
      const cancel = request.running.map(({ attempt }) => attempt).filter((attempt) => this.cancelled.has(attempt));
      const checkpoints = (request.checkpoints ?? []).map((checkpoint) => {
        this.checkpoints.push(checkpoint);
        return { attempt: checkpoint.attempt, name: checkpoint.output.name, status: 'accepted' as const };
      });
      const forget = this.forget.splice(0);
      const probe = request.probe === true ? this.probe : undefined;
      return c.json({
        reports,
        grants,
        cancel,
        upgrade: this.upgrade,
        probe,
        checks: this.checks.splice(0),
        moves: this.moves.splice(0),
        checkpoints,
        forget,
      });
    });
    app.post('/v1/runners/self/heartbeat', async (c) => {
      const request = this.#parse(HeartbeatRequest, await c.req.json());
      this.heartbeats.push(request);
      const attempts = request.attempts.map(async ({ attempt, urls }) => ({
        attempt,
        order: this.cancelled.has(attempt) ? 'cancel' : 'continue',
        message: 'ordered by the test',
        ...(urls === undefined ? {} : { urls: await this.#renewed(attempt, urls) }),
      }));
      return c.json({ attempts: await Promise.all(attempts) });
    });
    return app;
  }

  async #renewed(attempt: string, { inputs, parts }: HeartbeatUrls): Promise<RenewedUrls> {
    const got = inputs.map(async (name) => ({ name, url: await this.objects.getUrl(`inputs/${attempt}/${name}`, HOUR_MS) }));
    const put = parts.map(async ({ name, numbers }) => {
      const key = `outputs/${attempt}/${name}`;
      const upload = { key, uploadId: this.#uploads.get(`${attempt}/${name}`) as string, maxSizeBytes: 0, exactly: false };
      return (await this.objects.partUrls(upload, numbers, HOUR_MS)).map(({ number, url }) => ({ name, part: number, url }));
    });
    return { inputs: await Promise.all(got), parts: (await Promise.all(put)).flat() };
  }

  #held(waitMs: number, gone: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#wakers.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, waitMs);
      this.#wakers.add(wake);
      gone.addEventListener('abort', wake);
    });
  }

  #parse<T>(schema: z.ZodType<T>, body: unknown): T {
    const parsed = schema.safeParse(body);
    if (parsed.success) return parsed.data;
    this.malformed.push(parsed.error.message);
    throw new SealpoolError('bad_request', 'malformed', parsed.error.message);
  }
}
