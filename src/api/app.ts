/** The HTTP API: middleware, routes, description. Put together by `src/main`; knows no runtime. */
import { OpenAPIHono } from '@hono/zod-openapi';
import { SealpoolError } from '../schema/problem.ts';
import { allowedMethods } from './allowed-methods.ts';
import { describeApi } from './document.ts';
import { docsRoutes } from './docs.ts';
import { doorOf } from './door.ts';
import type { ApiParts, Env } from './parts.ts';
import { tellAnswered } from './answered.ts';
import { problemAnswer, refuseInvalid } from './problems.ts';
import { Limiter, limited } from './rate-limit.ts';
import { agentRoutes } from './routes/agent.ts';
import { backupRoutes } from './routes/backup.ts';
import { eventRoutes } from './routes/events.ts';
import { fleetRoutes } from './routes/fleet.ts';
import { healthRoutes } from './routes/health.ts';
import { inventoryRoutes } from './routes/inventory.ts';
import { objectGarbageRoutes } from './routes/objects.ts';
import { pieceDataRoutes } from './routes/piece-data.ts';
import { pieceRoutes } from './routes/pieces.ts';
import { planRoutes } from './routes/plans.ts';
import { runnerFileRoutes } from './routes/runner-files.ts';
import { sectorRoutes } from './routes/sectors.ts';
import { settingsRoutes } from './routes/settings.ts';
import { storageMoveRoutes } from './routes/storage-moves.ts';
import { storageRoutes } from './routes/storage.ts';
import { tokenRoutes } from './routes/tokens.ts';
import { deliveryRoutes } from './routes/deliveries.ts';
import { webhookRoutes } from './routes/webhooks.ts';
import { workerRoutes } from './routes/workers.ts';

const ROUTES = [
  healthRoutes,
  runnerFileRoutes,
  planRoutes,
  // Before the routes of one sector, which `export` would be taken for.
  inventoryRoutes,
  sectorRoutes,
  workerRoutes,
  settingsRoutes,
  storageRoutes,
  storageMoveRoutes,
  fleetRoutes,
  agentRoutes,
  eventRoutes,
  pieceRoutes,
  pieceDataRoutes,
  tokenRoutes,
  backupRoutes,
  objectGarbageRoutes,
  webhookRoutes,
  deliveryRoutes,
];

/** What no browser may do with an answer: guess its type, keep it, tell others where it was, run or frame it. Routes that say more keep theirs. */
function guardAnswer(path: string, headers: Headers): void {
  headers.set('x-content-type-options', 'nosniff');
  headers.set('referrer-policy', 'no-referrer');
  if (!headers.has('content-security-policy')) headers.set('content-security-policy', "default-src 'none'; frame-ancestors 'none'");
  if (path.startsWith('/v1/') && !headers.has('cache-control')) headers.set('cache-control', 'no-store');
}

/** The app with every route of the API. */
export function createApp(parts: ApiParts): OpenAPIHono<Env> {
  const app = new OpenAPIHono<Env>({ defaultHook: refuseInvalid });
  const limiter = parts.rateLimits === undefined ? undefined : new Limiter(parts.rateLimits);
  app.use('*', async (c, next) => {
    const requestId = parts.requestId();
    c.set('requestId', requestId);
    // What the request changes says that it did.
    c.set('door', doorOf(parts.door, requestId));
    c.set('limiter', limiter);
    const began = performance.now();
    await next();
    c.res.headers.set('x-request-id', requestId);
    guardAnswer(c.req.path, c.res.headers);
    tellAnswered(parts, c, performance.now() - began);
  });
  if (limiter !== undefined) app.use('*', limited(parts, limiter));
  const allowed = allowedMethods(app);
  // Before any route: `GET /v1/sectors/import` is no `GET /v1/sectors/{ref}`.
  app.use('*', (c, next) => {
    const { method, path } = c.req;
    const methods = allowed(path);
    if (methods.length === 0 || methods.includes(method)) return next();
    const message = `${path} takes ${methods.join(', ')} and not ${method}; see /openapi.json`;
    const answer = problemAnswer(parts, c, new SealpoolError('wrong_method', 'wrong_method', message));
    answer.headers.set('allow', methods.join(', '));
    return Promise.resolve(answer);
  });
  app.onError((error, c) => problemAnswer(parts, c, error));
  app.notFound((c) =>
    problemAnswer(
      parts,
      c,
      new SealpoolError('not_found', 'no_such_route', `there is no ${c.req.method} ${c.req.path}; see /openapi.json`),
    ),
  );
  for (const add of ROUTES) add(app, parts);
  docsRoutes(app, parts);
  app.openAPIRegistry.registerComponent('securitySchemes', 'bearer', {
    type: 'http',
    scheme: 'bearer',
    description: "An API token, or for /v1/runners/self/ a runner's credential.",
  });
  let document: object | undefined;
  app.get('/openapi.json', (c) => c.json((document ??= describeApi(app, parts.version ?? '0'))));
  return app;
}
