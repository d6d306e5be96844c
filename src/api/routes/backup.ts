/** `POST /v1/backup`: the whole database as one file, while everything goes on. */
import type { OpenAPIHono } from '@hono/zod-openapi';
import { z } from 'zod';
import { SealpoolError } from '../../schema/problem.ts';
import { did, wholeOnly } from '../auth.ts';
import { operation } from '../operation.ts';
import type { ApiParts, Env } from '../parts.ts';

/** SQLite's registered media type. */
const TYPE = 'application/vnd.sqlite3';

export function backupRoutes(app: OpenAPIHono<Env>, parts: ApiParts): void {
  const described = operation(parts, {
    method: 'post',
    path: '/v1/backup',
    who: 'admin',
    summary:
      'The database as an SQLite file: consistent, checked, its hash in x-sealpool-hash. It holds token hashes, signed messages and the secrets of webhooks',
    body: z.object({}),
    bodyOptional: true,
    answer: z.unknown(),
  });
  const file = { description: 'the database', content: { [TYPE]: { schema: z.string().meta({ format: 'binary' }) } } };
  app.openapi({ ...described, responses: { 200: file } }, async (c) => {
    const principal = c.get('principal');
    wholeOnly(principal);
    if (parts.backup === undefined) {
      throw new SealpoolError(
        'unavailable',
        'backup_by_platform',
        "this control plane runs in a Durable Object, whose platform keeps the database; go back with the platform's point-in-time recovery (30 days) instead of a backup file",
      );
    }
    // Before anything is told: who asked for all of it is in the history, and in the copy too.
    await c.var.door.run((ctx) => did(ctx, principal, 'backup'));
    const { sizeBytes, hash, body } = await parts.backup();
    return new Response(body, {
      headers: {
        'content-type': TYPE,
        'content-length': String(sizeBytes),
        'x-sealpool-hash': hash,
        // Whoever has it reads everything, and can sign what webhooks are posted.
        'cache-control': 'no-store',
        'content-disposition': 'attachment; filename="sealpool-backup.sqlite"',
      },
    });
  });
}
