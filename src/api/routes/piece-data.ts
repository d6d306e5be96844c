/** The data of an unsealed sector, for its owner to fetch: where it is, how large, and with which hash. */
import type { OpenAPIHono } from '@hono/zod-openapi';
import { PIECE } from '../../schema/artifact.ts';
import { SectorName, type SectorRef, parseSectorName } from '../../schema/ids.ts';
import type { Job } from '../../schema/job.ts';
import { SealpoolError } from '../../schema/problem.ts';
import type { Context } from '../../scheduler/context.ts';
import { type Principal, mayMiner } from '../auth.ts';
import { operation } from '../operation.ts';
import type { ApiParts, Env } from '../parts.ts';
import { notFound } from '../problems.ts';
import { UnsealedPiece } from '../views.ts';
import { AT, Ref, asConfigured, findJob } from './sectors.ts';
import { sectorView } from './shown.ts';

/** A download begins within this time; one that goes on longer is not broken off. */
const URL_TTL_MS = 3_600_000;

const conflict = (code: string, message: string): SealpoolError => new SealpoolError('conflict', code, message);

/** The unseal job that is meant: by id that one, by sector its newest that finished, else its newest. */
function unsealJob(ctx: Context, principal: Principal, ref: SectorRef): Job {
  const byName = SectorName.safeParse(ref);
  if (!byName.success) {
    const job = findJob(ctx, principal, ref);
    if (job.plan === 'unseal') return job;
    throw conflict(
      'not_unsealed',
      `job ${job.id} runs the plan ${job.plan} and unseals nothing; unseal its sector (sealpool sectors unseal), or name the job that did`,
    );
  }
  const { miner: typed, number } = parseSectorName(byName.data);
  const miner = asConfigured(ctx, typed);
  if (!mayMiner(principal, miner)) throw notFound(`sector ${ref}`);
  const newest = (state?: string): Job | undefined => ctx.tx.jobs({ plan: 'unseal', miner, number, state }, 1, null).items[0];
  const job = newest('Finished') ?? newest();
  if (job !== undefined) return job;
  if (ctx.tx.sectorRecord(miner, number) === undefined && ctx.tx.jobOfSector(miner, number) === undefined) throw notFound(`sector ${ref}`);
  throw conflict(
    'not_unsealed',
    `sector ${ref} was not unsealed yet; unseal it (sealpool sectors unseal ${ref}), and ask again when that has finished`,
  );
}

/** The piece of a finished job. Throws 409 while there is none, 410 when it was deleted. */
function pieceOf(job: Job): NonNullable<Job['data']['artifacts'][string]> {
  const { id, state, error } = job;
  if (state === 'Aborted')
    throw conflict('not_unsealed', `job ${id} was aborted and has no data; unseal the sector again (sealpool sectors unseal)`);
  if (state !== 'Finished') {
    const why = error === null ? 'ask again when it has finished' : `its last error: ${error.message}`;
    throw conflict('not_unsealed_yet', `job ${id} is in ${state} and has no data yet; ${why}`);
  }
  const piece = job.data.artifacts[PIECE];
  if (piece === undefined) throw gone(job);
  return piece;
}

const gone = ({ id }: Job): SealpoolError =>
  new SealpoolError('gone', 'piece_gone', `the data that job ${id} unsealed is not in the object store any more; unseal the sector again`);

export function pieceDataRoutes(app: OpenAPIHono<Env>, parts: ApiParts): void {
  const { objects } = parts;
  const route = operation(parts, {
    method: 'get',
    path: `${AT}/piece`,
    who: 'operator',
    summary: 'The unsealed data: where to GET it (ranges allowed), its size and hash; without `Accept: application/json` a redirect to it',
    params: Ref,
    answer: UnsealedPiece,
    also: {
      statuses: {
        307: 'The data is at the URL in Location.',
        409: 'The sector was not unsealed yet.',
        410: 'The data was deleted; unseal the sector again.',
      },
    },
  });
  app.openapi(route, async (c) => {
    const principal = c.get('principal');
    const { ref } = c.req.valid('param');
    const { job, piece, expiresMs } = await c.var.door.run((ctx) => {
      const job = unsealJob(ctx, principal, ref);
      return { job, piece: pieceOf(job), expiresMs: ctx.nowMs + URL_TTL_MS };
    });
    const { key, sizeBytes, hash } = piece;
    if ((await objects.head(key)) === undefined) throw gone(job);
    const url = await objects.getUrl(key, URL_TTL_MS);
    if ((c.req.header('accept') ?? '').includes('application/json'))
      return c.json({ job: job.id, sector: sectorView(job).sector, url, expiresMs, sizeBytes, hash }, 200);
    // For `curl -L -o FILE`: the bytes come from the object store itself. The URL is a permission and not to be kept.
    return new Response(null, { status: 307, headers: { location: url, 'cache-control': 'no-store' } }) as never;
  });
}
