/** For hosts that are to become runners: a script without any secret, and the files it fetches by hash. */
import type { OpenAPIHono } from '@hono/zod-openapi';
import { z } from 'zod';
import { SealpoolError } from '../../schema/problem.ts';
import { RunnerOffer } from '../../schema/runner-offer.ts';
import { operation } from '../operation.ts';
import type { ApiParts, Env, RunnerFiles } from '../parts.ts';

const SCRIPT_TYPE = 'text/x-shellscript';
const FILE_TYPE = 'application/octet-stream';

export function runnerFileRoutes(app: OpenAPIHono<Env>, parts: ApiParts): void {
  const files = (): RunnerFiles => {
    if (parts.runnerFiles !== undefined) return parts.runnerFiles;
    throw new SealpoolError(
      'unavailable',
      'no_runner_files',
      'this control plane has no files for runners; start runners from a checkout (sealpool runner), or from an image',
    );
  };
  const script = operation(parts, {
    method: 'get',
    path: '/runner.sh',
    who: 'none',
    summary: 'A script that starts a runner: `curl -fsSL URL/runner.sh | SEALPOOL_RUNNER_JOIN_TOKEN=… sh`',
    answer: z.unknown(),
  });
  const text = { description: 'a script for sh', content: { [SCRIPT_TYPE]: { schema: z.string() } } };
  app.openapi({ ...script, responses: { 200: text } }, async (c) =>
    // Its hashes are of now.
    c.body(await files().script(), 200, { 'content-type': SCRIPT_TYPE, 'cache-control': 'no-store' }),
  );
  app.openapi(
    operation(parts, {
      method: 'get',
      path: '/runner/files',
      who: 'none',
      summary: 'What is handed out to runners now, by hash',
      answer: RunnerOffer,
    }),
    async (c) => c.json(await files().offer(), 200, { 'cache-control': 'no-store' }),
  );
  const file = operation(parts, {
    method: 'get',
    path: '/runner/{sha256}',
    who: 'none',
    summary: 'A file that is handed out to runners, by the 64 hex digits of its hash',
    params: z.object({ sha256: z.string().regex(/^[0-9a-f]{64}$/, '64 hex digits') }),
    answer: z.unknown(),
  });
  const bytes = { description: 'the file', content: { [FILE_TYPE]: { schema: z.string().meta({ format: 'binary' }) } } };
  app.openapi({ ...file, responses: { 200: bytes } }, async (c) => {
    const { sha256 } = c.req.valid('param');
    const found = await files().open(`sha256:${sha256}`);
    if (found === undefined) {
      throw new SealpoolError(
        'not_found',
        'no_such_file',
        'no file with this hash is handed out now; /runner/files and /runner.sh name those that are',
      );
    }
    const { body, sizeBytes } = found;
    return new Response(c.req.method === 'HEAD' ? null : await body(), {
      headers: {
        'content-type': FILE_TYPE,
        'content-length': String(sizeBytes),
        etag: `"${sha256}"`,
        'cache-control': 'public, max-age=31536000, immutable',
      },
    });
  });
}
