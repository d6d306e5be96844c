/** The worker and sealing_thread view of the same jobs. A worker is named by its name, or the address it was reached at before. */
import type { OpenAPIHono } from '@hono/zod-openapi';
import { z } from 'zod';
import type { JobId } from '../../schema/ids.ts';
import type { Context } from '../../scheduler/context.ts';
import { abortJob, pauseJob, resumeJob } from '../../scheduler/operate.ts';
import type { ThreadRow } from '../../scheduler/ports.ts';
import { jobOfThread, setThreadEnabled, threadId, threadIdle } from '../../scheduler/threads.ts';
import { type Principal, did, mayMiner, wholeOnly } from '../auth.ts';
import { operation } from '../operation.ts';
import type { ApiParts, Env } from '../parts.ts';
import { notFound } from '../problems.ts';
import { AbortRequest, PauseRequest, ResumeRequest } from '../requests.ts';
import { ActedView, SectorView, ThreadView, WorkerView } from '../views.ts';
import { workerNamed } from '../worker-address.ts';
import { actedView, sectorView, threadView } from './shown.ts';

const Name = z.string().min(1).max(60);
const Worker = z.object({ w: Name });
const Thread = z.object({ w: Name, i: z.coerce.number().int().min(0).max(9_999) });
const THREAD = '/v1/workers/{w}/threads/{i}';

/** Threads that this token may know of: shared ones, and those of its miners. */
function threadsOf(ctx: Context, principal: Principal): ThreadRow[] {
  return ctx.tx.threads().filter(({ miner }) => miner === null || mayMiner(principal, miner));
}

function addressOf({ workerAddresses: known = {} }: ApiParts, worker: string): string | null {
  return Object.hasOwn(known, worker) ? (known[worker] ?? null) : null;
}

function workers(parts: ApiParts, ctx: Context, principal: Principal): WorkerView[] {
  const byName = new Map<string, WorkerView>();
  for (const row of ctx.tx.threadsWithJobs()) {
    const { worker, miner } = row.thread;
    if (miner !== null && !mayMiner(principal, miner)) continue;
    const view = byName.get(worker) ?? { worker, address: addressOf(parts, worker), threads: [] };
    view.threads.push(threadView(ctx, row, principal));
    byName.set(worker, view);
  }
  return [...byName.values()];
}

/** The thread; one of a foreign miner is not there. Not the engine's refusal, which lists the threads there are: some may be foreign. */
function threadAt(parts: ApiParts, ctx: Context, principal: Principal, { w, i }: z.output<typeof Thread>): ThreadRow {
  const visible = threadsOf(ctx, principal);
  const worker = workerNamed(w, new Set(visible.map((thread) => thread.worker)), parts.workerAddresses ?? {});
  const thread = visible.find(({ id }) => worker !== undefined && id === threadId(worker, i));
  if (thread === undefined) throw notFound(`sealing_thread ${w}/${i}`);
  return thread;
}

/** The job in a thread; with a foreign job in it, a shared thread is as one without any. */
function jobIn(parts: ApiParts, ctx: Context, principal: Principal, at: z.output<typeof Thread>): JobId {
  const { worker, index } = threadAt(parts, ctx, principal, at);
  const job = jobOfThread(ctx, worker, index);
  if (!mayMiner(principal, job.miner)) throw threadIdle(threadId(worker, index));
  return job.id;
}

export function workerRoutes(app: OpenAPIHono<Env>, parts: ApiParts): void {
  app.openapi(
    operation(parts, {
      method: 'get',
      path: '/v1/workers',
      who: 'viewer',
      summary: 'Workers and their sealing_threads',
      answer: z.object({ items: z.array(WorkerView) }),
    }),
    async (c) => c.json({ items: await c.var.door.run((ctx) => workers(parts, ctx, c.get('principal'))) }, 200),
  );
  app.openapi(
    operation(parts, {
      method: 'get',
      path: '/v1/workers/{w}',
      who: 'viewer',
      summary: 'One worker, by its name or the address it was reached at before',
      params: Worker,
      answer: WorkerView,
    }),
    async (c) => {
      const { w } = c.req.valid('param');
      const found = await c.var.door.run((ctx) => {
        const all = workers(parts, ctx, c.get('principal'));
        const name = workerNamed(w, new Set(all.map(({ worker }) => worker)), parts.workerAddresses ?? {});
        return all.find(({ worker }) => worker === name);
      });
      if (found === undefined) throw notFound(`worker ${w}`);
      return c.json(found, 200);
    },
  );
  jobActions(app, parts);
  switches(app, parts);
}

/** What is done to the job in a thread. */
function jobActions(app: OpenAPIHono<Env>, parts: ApiParts): void {
  const shared = { method: 'post', who: 'operator', params: Thread, bodyOptional: true } as const;
  app.openapi(
    operation(parts, { ...shared, path: `${THREAD}/pause`, summary: "Pause the thread's sector", body: PauseRequest, answer: SectorView }),
    async (c) => {
      const [at, { now }, principal] = [c.req.valid('param'), c.req.valid('json'), c.get('principal')];
      return c.json(
        sectorView(await c.var.door.run((ctx) => pauseJob(ctx, jobIn(parts, ctx, principal, at), { now }, principal.actor))),
        200,
      );
    },
  );
  app.openapi(
    operation(parts, {
      ...shared,
      path: `${THREAD}/resume`,
      summary: "Go on with the thread's sector, from its state or a named one",
      body: ResumeRequest,
      answer: ActedView,
    }),
    async (c) => {
      const [at, body, principal] = [c.req.valid('param'), c.req.valid('json'), c.get('principal')];
      return c.json(await c.var.door.run((ctx) => actedView(resumeJob(ctx, jobIn(parts, ctx, principal, at), body, principal.actor))), 200);
    },
  );
  app.openapi(
    operation(parts, {
      ...shared,
      path: `${THREAD}/abort`,
      summary: "Give the thread's sector up; the thread goes on to the next",
      body: AbortRequest,
      answer: ActedView,
    }),
    async (c) => {
      const [at, { force }, principal] = [c.req.valid('param'), c.req.valid('json'), c.get('principal')];
      return c.json(
        await c.var.door.run((ctx) => actedView(abortJob(ctx, jobIn(parts, ctx, principal, at), { force }, principal.actor))),
        200,
      );
    },
  );
}

/** A thread that is switched off finishes its sector and takes no other. */
function switches(app: OpenAPIHono<Env>, parts: ApiParts): void {
  for (const { name, enabled, summary } of [
    { name: 'enable', enabled: true, summary: 'Let the thread take sectors' },
    { name: 'disable', enabled: false, summary: 'Let the thread finish its sector and take no other' },
  ]) {
    app.openapi(
      operation(parts, {
        method: 'post',
        path: `${THREAD}/${name}`,
        who: 'operator',
        summary,
        params: Thread,
        body: z.strictObject({}),
        bodyOptional: true,
        answer: ThreadView,
      }),
      async (c) => {
        const [at, principal] = [c.req.valid('param'), c.get('principal')];
        const shown = await c.var.door.run((ctx) => {
          const { worker, index, miner } = threadAt(parts, ctx, principal, at);
          if (miner === null) wholeOnly(principal, `sealing_thread ${threadId(worker, index)}, which all miners share`);
          did(ctx, principal, `thread.${name}d`, { thread: threadId(worker, index) });
          const thread = setThreadEnabled(ctx, worker, index, enabled, principal.actor);
          const job = thread.job === null ? undefined : ctx.tx.job(thread.job);
          const grantedMs = job?.waiting.for === 'stage' ? ctx.tx.attempt(job.waiting.attempt)?.grantedMs : undefined;
          return threadView(ctx, { thread, job, grantedMs }, principal);
        });
        return c.json(shown, 200);
      },
    );
  }
}
