/** For agents: register, the fused next, heartbeat. A runner sees nothing but its own attempts. */
import type { OpenAPIHono } from '@hono/zod-openapi';
import { registerRunner } from '../../scheduler/fleet.ts';
import { HeartbeatAnswer, HeartbeatRequest, NextAnswer, NextRequest, RegisterAnswer, RegisterRequest } from '../../schema/runner.ts';
import { asRunner, runnerCredential } from '../auth.ts';
import { answerHeartbeat } from '../heartbeat.ts';
import { answerNext } from '../next.ts';
import { operation } from '../operation.ts';
import type { ApiParts, Env } from '../parts.ts';
import { probesOf } from '../probes.ts';
import { hashSecret, newSecret } from '../secrets.ts';
import { drained, upgradeOf } from '../upgrades.ts';

export function agentRoutes(app: OpenAPIHono<Env>, parts: ApiParts): void {
  const { settings } = parts;
  const probe = probesOf(parts);
  app.openapi(
    operation(parts, {
      method: 'post',
      path: '/v1/runners/register',
      who: 'none',
      summary: 'Join with a single-use token',
      body: RegisterRequest,
      answer: RegisterAnswer,
      also: { statuses: { 401: 'The join token is unknown, expired, or used by another process or by a runner that has spoken since.' } },
    }),
    async (c) => {
      const request = c.req.valid('json');
      const { runner, secret } = await c.var.door.run((ctx) => {
        const made = newSecret(ctx.ids, 'runner');
        return { runner: registerRunner(ctx, request, hashSecret(request.token), made.hash), secret: made.secret };
      });
      const { heartbeatMs, leaseMs, pollMs } = settings;
      return c.json({ runnerId: runner.id, credential: secret, heartbeatMs, leaseMs, pollMs, labels: [...runner.labels] }, 200);
    },
  );
  app.openapi(
    operation(parts, {
      method: 'post',
      path: '/v1/runners/self/next',
      who: 'runner',
      summary: 'Reports in, grants out; held back while there is nothing to grant',
      body: NextRequest,
      largeBody: true,
      answer: NextAnswer,
    }),
    async (c) => {
      const { door } = c.var;
      const { hash: credential } = runnerCredential(c);
      const request = c.req.valid('json');
      const upgrade = await upgradeOf(parts, request.software);
      const asked = upgrade === undefined ? request : drained(request);
      const answer = async (): Promise<NextAnswer> => {
        const answered = await answerNext({ ...parts, door }, credential, asked, c.req.raw.signal);
        // Only whoever was let in gets URLs.
        const probed = request.probe === true ? await probe(credential) : undefined;
        return { ...answered, ...(upgrade === undefined ? {} : { upgrade }), ...(probed === undefined ? {} : { probe: probed }) };
      };
      return c.json(await asRunner(door, credential, request.bootId, answer), 200);
    },
  );
  app.openapi(
    operation(parts, {
      method: 'post',
      path: '/v1/runners/self/heartbeat',
      who: 'runner',
      summary: 'Keeps leases; says which attempts to stop, and gives them new URLs',
      body: HeartbeatRequest,
      largeBody: true,
      answer: HeartbeatAnswer,
    }),
    async (c) => {
      const { door } = c.var;
      return c.json(await answerHeartbeat(parts, door, runnerCredential(c), c.req.valid('json')), 200);
    },
  );
}
