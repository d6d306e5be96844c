/** A runner that tells its signed URLs and its credential wherever it can: they are in no event, no row and no webhook. */
import Database from 'better-sqlite3';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Grant, NextAnswer, RegisterAnswer } from '../../src/schema/runner.ts';
import { effectDone } from '../../src/scheduler/outbox.ts';
import { ApiWorld, BOOT, RESOURCES } from './api-world.ts';

const NEXT = { bootId: BOOT, freeSlots: 0, running: [], reports: [], resources: RESOURCES, waitMs: 0 };
let world: ApiWorld;
let runner: RegisterAnswer;
beforeEach(async () => {
  world = await ApiWorld.open();
  runner = await world.runner();
});
afterEach(() => world.close());

const next = async (more: object): Promise<NextAnswer> =>
  (await world.call('POST', '/v1/runners/self/next', { token: runner.credential, body: { ...NEXT, ...more } })).json as NextAnswer;

async function claim(): Promise<Grant> {
  await world.pledge();
  await world.door.run((ctx) => {
    for (const { id, want } of ctx.tx.effectsDue(ctx.nowMs, 100))
      if (want.kind === 'number') effectDone(ctx, id, { outcome: 'number', taken: false });
  });
  return (await next({ freeSlots: 1 })).grants[0] as Grant;
}

/** Everything the database has, as text; webhooks post its events. */
function rows(): string {
  const database = new Database(join(world.folder, 'sealpool.sqlite'), { readonly: true });
  const tables = database.prepare("select name from sqlite_master where type = 'table'").all() as { name: string }[];
  const text = tables.map(({ name }) => JSON.stringify(database.prepare(`select * from "${name}"`).all())).join('\n');
  database.close();
  return text;
}

test.each(['failed', 'done'] as const)('in heartbeats, and in a report of what %s', async (outcome) => {
  const { attempt, epoch } = await claim();
  const signature = 'c2lnbmF0dXJlLW9mLWEtdXJs';
  const url = `https://s3.example/bucket/jobs/x?X-Amz-Signature=${signature}`;
  const said = `PUT ${url} with Authorization: Bearer ${runner.credential}`;
  const beat = { bootId: BOOT, attempts: [{ attempt, epoch, note: said, logTail: `${said}\n${url}` }] };
  await world.call('POST', '/v1/runners/self/heartbeat', { token: runner.credential, body: beat });
  const outputs = [{ name: 'besides', sizeBytes: '1', hash: `sha256:${'ab'.repeat(32)}`, parts: [] }];
  const report =
    outcome === 'failed'
      ? { outcome, attempt, epoch, code: 'internal', message: said }
      : { outcome, attempt, epoch, outputs, result: { url, said } };
  await next({ reports: [report] });
  const kept = rows();
  expect(kept).toContain('runner_struck');
  for (const secret of [signature, runner.credential.slice('sp-run-'.length)]) expect(kept).not.toContain(secret);
});
