/** The worker and sealing_thread view of the same jobs. */
import type { OpenAPIHono } from '@hono/zod-openapi';
import { z } from 'zod';
import type { JobId } from '../../schema/ids.ts';
import type { Context } from '../../scheduler/context.ts';
import { pauseJob, resumeJob } from '../../scheduler/operate.ts';
import { jobOfThread, threadId } from '../../scheduler/threads.ts';
import { type Principal, mayMiner } from '../auth.ts';
import { operation } from '../operation.ts';
import type { ApiParts, Env } from '../parts.ts';
import { notFound } from '../problems.ts';
import { PauseRequest, ResumeRequest } from '../requests.ts';
import { SectorView, WorkerView } from '../views.ts';
import { sectorView, threadView } from './shown.ts';

const Name = z.string().min(1).max(60);
const Worker = z.object({ w: Name });
const Thread = z.object({ w: Name, i: z.coerce.number().int().min(0).max(9_999) });
const THREAD = '/v1/workers/{w}/threads/{i}';

/** Workers with the threads that this token may know of: shared ones, and those of its miners. */
function workers(ctx: Context, principal: Principal): WorkerView[] {
  const byName = new Map<string, WorkerView>();
  for (const thread of ctx.tx.threads()) {
    if (thread.miner !== null && !mayMiner(principal, thread.miner)) continue;
    const worker = byName.get(thread.worker) ?? { worker: thread.worker, threads: [] };
    worker.threads.push(threadView(ctx.tx, thread, principal));
    byName.set(thread.worker, worker);
  }
  return [...byName.values()];
}

/** The job in a thread; a thread of a foreign miner is not there, a foreign job in a shared one neither. */
function jobIn(ctx: Context, principal: Principal, worker: string, index: number): JobId {
  const thread = ctx.tx.thread(threadId(worker, index));
  // Not the engine's refusal, which lists the threads there are: some may be of foreign miners.
  if (thread === undefined || (thread.miner !== null && !mayMiner(principal, thread.miner)))
    throw notFound(`sealing_thread ${worker}/${index}`);
  const job = jobOfThread(ctx, worker, index);
  if (!mayMiner(principal, job.miner)) throw notFound(`sector in sealing_thread ${worker}/${index}`);
  return job.id;
}

export function workerRoutes(app: OpenAPIHono<Env>, parts: ApiParts): void {
  const { door } = parts;
  app.openapi(
    operation(parts, {
      method: 'get',
      path: '/v1/workers',
      who: 'viewer',
      summary: 'Workers and their sealing_threads',
      answer: z.object({ items: z.array(WorkerView) }),
    }),
    async (c) => c.json({ items: await door.run((ctx) => workers(ctx, c.get('principal'))) }, 200),
  );
  app.openapi(
    operation(parts, { method: 'get', path: '/v1/workers/{w}', who: 'viewer', summary: 'One worker', params: Worker, answer: WorkerView }),
    async (c) => {
      const { w } = c.req.valid('param');
      const found = await door.run((ctx) => workers(ctx, c.get('principal')).find(({ worker }) => worker === w));
      if (found === undefined) throw notFound(`worker ${w}`);
      return c.json(found, 200);
    },
  );
  const shared = { method: 'post', who: 'operator', params: Thread, bodyOptional: true, answer: SectorView } as const;
  app.openapi(
    operation(parts, { ...shared, path: `${THREAD}/pause`, summary: "Pause the thread's sector", body: PauseRequest }),
    async (c) => {
      const [{ w, i }, { now }, principal] = [c.req.valid('param'), c.req.valid('json'), c.get('principal')];
      return c.json(sectorView(await door.run((ctx) => pauseJob(ctx, jobIn(ctx, principal, w, i), { now }, principal.actor))), 200);
    },
  );
  app.openapi(
    operation(parts, { ...shared, path: `${THREAD}/resume`, summary: "Go on with the thread's sector", body: ResumeRequest }),
    async (c) => {
      const [{ w, i }, body, principal] = [c.req.valid('param'), c.req.valid('json'), c.get('principal')];
      return c.json(sectorView(await door.run((ctx) => resumeJob(ctx, jobIn(ctx, principal, w, i), body, principal.actor))), 200);
    },
  );
}
