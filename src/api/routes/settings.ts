/** Settings that change while running: how many of a stage run at a time, and how far apart they start. */
import type { OpenAPIHono } from '@hono/zod-openapi';
import type { z } from 'zod';
import type { Context } from '../../scheduler/context.ts';
import { limits, setLimits } from '../../scheduler/limits.ts';
import { did, wholeOnly } from '../auth.ts';
import { IfMatchHeader, refuseChanged, tagOfContent, tell } from '../conditional.ts';
import { operation } from '../operation.ts';
import type { ApiParts, Env } from '../parts.ts';
import { SettingsPatch } from '../requests.ts';
import { SettingsView } from '../views.ts';
import { workerNamed } from '../worker-address.ts';

const PATH = '/v1/settings';

/** As the engine takes it: workers named by an old address get their names; a name nobody knows is left for the engine to refuse. */
function byName(parts: ApiParts, ctx: Context, patch: z.output<typeof SettingsPatch>): z.output<typeof SettingsPatch>['limits'] {
  const names = new Set(ctx.tx.threads().map(({ worker }) => worker));
  const workers = Object.entries(patch.limits?.workers ?? {}).map(
    ([typed, set]) => [workerNamed(typed, names, parts.workerAddresses ?? {}) ?? typed, set] as const,
  );
  return { ...patch.limits, workers: Object.fromEntries(workers) };
}

export function settingsRoutes(app: OpenAPIHono<Env>, parts: ApiParts): void {
  app.openapi(
    operation(parts, { method: 'get', path: PATH, who: 'viewer', summary: 'The settings as they count now', answer: SettingsView }),
    async (c) => {
      wholeOnly(c.get('principal'));
      const shown = { limits: await c.var.door.run(limits) };
      tell(c, tagOfContent(shown));
      return c.json(shown, 200);
    },
  );
  app.openapi(
    operation(parts, {
      method: 'patch',
      path: PATH,
      who: 'operator',
      summary: "Change settings: a number sets one, null goes back to the configuration's, what is not named stays",
      headers: IfMatchHeader,
      body: SettingsPatch,
      answer: SettingsView,
    }),
    async (c) => {
      const [principal, patch] = [c.get('principal'), c.req.valid('json')];
      wholeOnly(principal);
      const shown = await c.var.door.run((ctx) => {
        refuseChanged(c, tagOfContent({ limits: limits(ctx) }), 'the settings');
        const set = setLimits(ctx, byName(parts, ctx, patch) ?? {}, principal.actor);
        did(ctx, principal, 'settings.changed', { ...patch });
        return { limits: set };
      });
      tell(c, tagOfContent(shown));
      return c.json(shown, 200);
    },
  );
}
