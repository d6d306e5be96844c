/**
 * Secrets as canaries in real processes that log everything: none of them stands in a log, an event, a refusal, the metrics,
 * or a column of the database, where hashes belong.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, expect, test } from 'vitest';
import { createClient } from '../../src/api/client.ts';
import { Deployment } from './processes.ts';

const RESOURCES = { cores: 2, ramBytes: 2 ** 34, diskFreeBytes: 2 ** 40, gpus: [] };
const WEBHOOK_SECRET = `whsec_${Buffer.from('a secret of a webhook, in a test').toString('base64')}`;

let deployment: Deployment;
afterEach(() => deployment.end());

/** A runner played by hand takes a stage and fails it, telling its own secrets as it does: answers them. */
async function careless(): Promise<Record<string, string>> {
  const { token } = await deployment.client.createJoinToken({ trust: 'own' });
  const client = createClient({ baseUrl: deployment.url });
  const bootId = 'boot-of-a-careless-runner';
  const stages = ['AddPiece', 'BuildTreeD', 'PC1'] as const;
  const { credential } = await client.register({
    token,
    name: 'careless',
    bootId,
    agentVersion: '0',
    stages: [...stages],
    storage: ['main'],
    resources: RESOURCES,
  });
  const self = createClient({ baseUrl: deployment.url, token: credential });
  const ask = { bootId, running: [], reports: [], resources: RESOURCES };
  const urls: string[] = [];
  while (urls.length === 0) {
    const { grants } = await self.next({ ...ask, freeSlots: 1, waitMs: 20_000 });
    for (const { attempt, epoch, inputs, outputs } of grants) {
      urls.push(...inputs.map((input) => input.url), ...outputs.flatMap(({ partUrls }) => partUrls));
      const said = `it failed at ${urls[0]} with ${credential}, Authorization: Bearer ${credential}`;
      await self.heartbeat({ bootId, attempts: [{ attempt, epoch, note: said.slice(0, 200), logTail: said }] });
      await fetch(`${urls[0]}0`);
      const report = { outcome: 'failed', attempt, epoch, code: 'internal', message: said } as const;
      await self.next({ ...ask, running: [{ attempt, epoch }], reports: [report], freeSlots: 0, waitMs: 0 });
    }
  }
  const query = new URL(urls[0] as string).searchParams;
  return { 'join token': token, 'runner credential': credential, 'signature of a URL': query.get('signature') as string };
}

test('no canary is anywhere but where it belongs', { timeout: 180_000 }, async () => {
  deployment = await Deployment.start({ settings: { SEALPOOL_LOG_LEVEL: 'trace' } });
  const { client, folder, url } = deployment;
  const database = join(folder, 'data/sealpool.sqlite');
  const writing = new Database(database, { timeout: 5_000 });
  writing
    .prepare(
      `insert into webhooks (id, url, description, allow_private, secret, status, cursor, version, created_ms)
       values ('w-000000000001', 'http://127.0.0.1:1/', '', 0, ?, 'disabled', 0, 1, 1)`,
    )
    .run(WEBHOOK_SECRET);
  writing.close();
  await client.addPiece('t01000', new Uint8Array(127).fill(7));
  const [job] = await deployment.pledge();
  const played = await careless();
  await deployment.addRunner('one', { environment: { SEALPOOL_LOG_LEVEL: 'trace' } });
  await deployment.finished(job as string);
  const { token: viewer } = await client.createToken({ name: 'a canary', role: 'viewer', miners: null });
  const misspelt = viewer.slice(0, -1) + (viewer.endsWith('0') ? '1' : '0');
  // Refusals of every kind, with secrets where they do not belong too.
  const refused = await Promise.all([
    fetch(`${url}/v1/sectors`, { headers: { authorization: `Bearer ${misspelt}` } }),
    fetch(`${url}/v1/tokens`, { headers: { authorization: `Bearer ${viewer}` } }),
    fetch(`${url}/v1/sectors?state=${viewer}`, { headers: { authorization: `Bearer ${played['runner credential']}` } }),
    fetch(`${url}/v1/sectors`, { method: 'POST', headers: { authorization: `Bearer ${deployment.token}` }, body: `{"token":"${viewer}"` }),
  ]);
  const bodies = await Promise.all(refused.map((answer) => answer.text()));
  expect(refused.every(({ status }) => status >= 400 && status < 500)).toBe(true);
  const pages = await Promise.all([
    fetch(`${url}/metrics`).then((answer) => answer.text()),
    fetch(`${url}/readyz`).then((answer) => answer.text()),
    client.events(0, 1_000).then((events) => JSON.stringify(events)),
    client.sector(job as string).then((detail) => JSON.stringify(detail)),
    client.runners().then((runners) => JSON.stringify(runners)),
    client.tokens().then((tokens) => JSON.stringify(tokens)),
  ]);
  await deployment.runners.get('one')?.end('SIGTERM');
  await deployment.controlPlane.end('SIGTERM');

  const canaries: Record<string, string> = {
    ...played,
    'admin token': deployment.token,
    'viewer token': viewer,
    'webhook secret': WEBHOOK_SECRET,
    'chain token': readFileSync(join(folder, 'devnet/devnet.token'), 'utf8').trim(),
    "runner one's credential": (JSON.parse(readFileSync(join(folder, 'runner-one/runner.json'), 'utf8')) as { credential: string })
      .credential,
  };
  expect(Object.values(canaries).every((canary) => canary.length >= 32)).toBe(true);
  const places: Record<string, string> = { refusals: bodies.join('\n'), pages: pages.join('\n'), rows: rowsOf(database) };
  for (const name of readdirSync(folder).filter((file) => file.endsWith('.log'))) places[name] = readFileSync(join(folder, name), 'utf8');
  expect(Object.keys(places)).toEqual(expect.arrayContaining(['serve.log', 'runner-one.log', 'devnet.log']));
  // Each place has something to find canaries in.
  expect(places['rows']).toContain(`it failed at ${url}/objects`);
  expect(places['serve.log']).toContain('it failed at');
  const found = Object.entries(places).flatMap(([place, text]) =>
    Object.entries(canaries).flatMap(([what, canary]) => (text.includes(canary) ? [`${what} in ${place}`] : [])),
  );
  expect(found).toEqual([]);
});

/** All text of all tables, but for the one column that holds a secret because it signs. */
function rowsOf(path: string): string {
  const database = new Database(path, { readonly: true });
  try {
    const tables = database.prepare("select name from sqlite_master where type = 'table'").pluck().all() as string[];
    const rows = tables.flatMap((table) =>
      (database.prepare(`select * from "${table}"`).all() as Record<string, unknown>[]).map((row) =>
        table === 'webhooks' ? { ...row, secret: undefined } : row,
      ),
    );
    return JSON.stringify(rows);
  } finally {
    database.close();
  }
}
