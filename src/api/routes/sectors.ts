/** Sectors: queue jobs, list them, show one with its history, act on it. */
import type { OpenAPIHono } from '@hono/zod-openapi';
import { z } from 'zod';
import { type MinerId, SectorRef, parseSectorName, SectorName } from '../../schema/ids.ts';
import type { Job } from '../../schema/job.ts';
import { SealpoolError } from '../../schema/problem.ts';
import type { Context } from '../../scheduler/context.ts';
import { explain } from '../../scheduler/explain.ts';
import { epochNow } from '../../scheduler/head.ts';
import { abortJob, pauseJob, resumeJob } from '../../scheduler/operate.ts';
import { type Pledge, pledge } from '../../scheduler/pledge.ts';
import { canonicalState } from '../../scheduler/resume-target.ts';
import { type Principal, mayMiner } from '../auth.ts';
import { once } from '../idempotency.ts';
import { operation } from '../operation.ts';
import type { ApiParts, Env } from '../parts.ts';
import { notFound } from '../problems.ts';
import { AbortRequest, PauseRequest, PledgeRequest, ResumeRequest, SectorQuery } from '../requests.ts';
import { ActedView, Explanation, SectorDetail, SectorPage, SectorView } from '../views.ts';
import { actedView, sectorDetail, sectorView } from './shown.ts';

export const Ref = z.object({ ref: SectorRef });
export const AT = '/v1/sectors/{ref}';

/** The job a user means; 404 alike for one that is not there and one of a foreign miner. */
export function findJob(ctx: Context, principal: Principal, ref: SectorRef): Job {
  const byName = SectorName.safeParse(ref);
  let job: Job | undefined;
  if (byName.success) {
    const { miner, number } = parseSectorName(byName.data);
    job = ctx.tx.jobOfSector(asConfigured(ctx, miner), number);
  } else job = ctx.tx.job(ref as Job['id']);
  if (job === undefined || !mayMiner(principal, job.miner)) throw notFound(`sector ${ref}`);
  return job;
}

/** `f01000` and `t01000` are the same miner; the configuration's spelling counts. */
export function asConfigured({ settings }: Pick<Context, 'settings'>, miner: MinerId): MinerId {
  return (Object.keys(settings.miners).find((known) => known.slice(1) === miner.slice(1)) ?? miner) as MinerId;
}

/** The miner as the configuration spells it; 404 for one that is not there or not this token's. */
export function configuredMiner(from: Pick<Context, 'settings'>, principal: Principal, miner: MinerId): MinerId {
  const known = asConfigured(from, miner);
  if (!mayMiner(principal, known) || !Object.hasOwn(from.settings.miners, known)) throw notFound(`miner ${miner}`);
  return known;
}

/** What is asked for, with the sector's name resolved; 404 for a miner that is not there or not this token's. */
function pledgeOf(ctx: Context, principal: Principal, { sector, miner, ...rest }: z.output<typeof PledgeRequest>): Pledge {
  const named = typeof sector === 'string' ? parseSectorName(sector) : undefined;
  const asked = miner ?? named?.miner;
  if (asked === undefined)
    throw new SealpoolError('bad_request', 'miner_missing', 'no miner is named; give miner (t01000), or the name of a sector (s-t01000-7)');
  if (named !== undefined && named.miner.slice(1) !== asked.slice(1))
    throw new SealpoolError(
      'bad_request',
      'miner_differs',
      `${sector} is no sector of ${asked}; leave miner out, or name one of its sectors`,
    );
  return { ...rest, miner: configuredMiner(ctx, principal, asked), sector: named?.number ?? (sector as number | undefined) };
}

export function sectorRoutes(app: OpenAPIHono<Env>, parts: ApiParts): void {
  app.openapi(
    operation(parts, {
      method: 'post',
      path: '/v1/sectors',
      who: 'operator',
      summary: 'Queue sector jobs',
      once: 'body',
      body: PledgeRequest,
      answer: z.object({ items: z.array(SectorView) }),
    }),
    async (c) => {
      const [principal, body] = [c.get('principal'), c.req.valid('json')];
      const queue = (ctx: Context) => ({ items: pledge(ctx, pledgeOf(ctx, principal, body), principal.actor).map(sectorView) });
      return c.json(await c.var.door.run((ctx) => once(ctx, c, () => queue(ctx))), 200);
    },
  );
  app.openapi(
    operation(parts, {
      method: 'get',
      path: '/v1/sectors',
      who: 'viewer',
      summary: 'List sector jobs, newest first',
      query: SectorQuery,
      answer: SectorPage,
    }),
    async (c) => {
      const principal = c.get('principal');
      const { cursor, limit, state, miner, ...rest } = c.req.valid('query');
      const { page, epoch } = await c.var.door.run((ctx) => ({
        epoch: epochNow(ctx) ?? null,
        page: ctx.tx.jobs(
          {
            ...rest,
            state: state === undefined ? undefined : canonicalState(state),
            miner: miner === undefined ? undefined : asConfigured(ctx, miner),
            ...(principal.miners === null ? {} : { miners: principal.miners }),
          },
          limit,
          cursor ?? null,
        ),
      }));
      return c.json({ items: page.items.map(sectorView), cursor: page.cursor, epoch }, 200);
    },
  );
  app.openapi(
    operation(parts, { method: 'get', path: AT, who: 'viewer', summary: 'One sector with its history', params: Ref, answer: SectorDetail }),
    async (c) => {
      const { ref } = c.req.valid('param');
      return c.json(await c.var.door.run((ctx) => sectorDetail(ctx, findJob(ctx, c.get('principal'), ref))), 200);
    },
  );
  app.openapi(
    operation(parts, {
      method: 'get',
      path: `${AT}/explain`,
      who: 'viewer',
      summary: 'Why it waits and where its stage would go',
      params: Ref,
      answer: Explanation,
    }),
    async (c) => {
      const { ref } = c.req.valid('param');
      return c.json(
        await c.var.door.run((ctx) => {
          const found = explain(ctx, findJob(ctx, c.get('principal'), ref));
          return { ...found, candidates: [...found.candidates] };
        }),
        200,
      );
    },
  );
  actions(app, parts);
}

function actions(app: OpenAPIHono<Env>, parts: ApiParts): void {
  const shared = { method: 'post', who: 'operator', params: Ref, bodyOptional: true } as const;
  app.openapi(
    operation(parts, { ...shared, path: `${AT}/pause`, summary: 'Pause the job in its state', body: PauseRequest, answer: SectorView }),
    async (c) => {
      const [{ ref }, { now }, principal] = [c.req.valid('param'), c.req.valid('json'), c.get('principal')];
      const job = await c.var.door.run((ctx) => pauseJob(ctx, findJob(ctx, principal, ref).id, { now }, principal.actor));
      return c.json(sectorView(job), 200);
    },
  );
  app.openapi(
    operation(parts, {
      ...shared,
      path: `${AT}/resume`,
      summary: 'Go on, from this state or a named one',
      body: ResumeRequest,
      answer: ActedView,
    }),
    async (c) => {
      const [{ ref }, body, principal] = [c.req.valid('param'), c.req.valid('json'), c.get('principal')];
      const shown = await c.var.door.run((ctx) => actedView(resumeJob(ctx, findJob(ctx, principal, ref).id, body, principal.actor)));
      return c.json(shown, 200);
    },
  );
  app.openapi(
    operation(parts, { ...shared, path: `${AT}/abort`, summary: 'Give the job up', body: AbortRequest, answer: ActedView }),
    async (c) => {
      const [{ ref }, { force }, principal] = [c.req.valid('param'), c.req.valid('json'), c.get('principal')];
      const shown = await c.var.door.run((ctx) => actedView(abortJob(ctx, findJob(ctx, principal, ref).id, { force }, principal.actor)));
      return c.json(shown, 200);
    },
  );
}
