/** Events after a restore: their numbers have sixteen digits, and whoever pages through them or follows them goes on. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Client, createClient } from '../../src/api/client.ts';
import { restoreDatabase } from '../../src/main/restore.ts';
import { openBackups } from '../../src/store/backup.ts';
import { openNodeStore } from '../../src/store/node.ts';
import { Daemon, ENTRY, cleanEnvironment } from '../e2e/processes.ts';
import { event, job } from '../store/rows.ts';
import { fileOf } from './files.ts';

/** More than the command line asks for at a time. */
const EVENTS = 501;
const NOW = Date.UTC(2026, 0, 2, 3, 4, 5);
const open = (path: string) => openNodeStore({ path, onFatal: (error) => expect.fail(error.message) });

let folder: string;
let data: string;
let daemon: Daemon;
let client: Client;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sealpool-paging-'));
  data = join(folder, 'data');
  mkdirSync(data);
  const path = join(data, 'sealpool.sqlite');
  const store = open(path);
  await store.commit((tx) => tx.insertJob(job(1)));
  const backups = await openBackups({ source: store, folder: data, minFreeBytes: 0 });
  await fileOf(await backups.make(), join(folder, 'backup.sqlite'));
  store.close();
  await restoreDatabase(join(folder, 'backup.sqlite'), data, NOW);
  const restored = open(path);
  await restored.commit((tx) => {
    for (let n = 0; n < EVENTS; n += 1) tx.appendEvent(event(1));
  });
  restored.close();
  daemon = new Daemon(['serve', '--data', data], { SEALPOOL_CHAIN_URL: 'http://127.0.0.1:1/rpc/v1' }, join(folder, 'log'));
  const { url, tokenFile } = await daemon.start();
  client = createClient({ baseUrl: url, token: readFileSync(tokenFile, 'utf8').trim() });
}, 60_000);
afterAll(async () => {
  await daemon.end('SIGTERM');
  rmSync(folder, { recursive: true, force: true });
});

function sealpool(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', ENTRY, ...args, '--data', data],
    { env: cleanEnvironment(), encoding: 'utf8', timeout: 30_000 },
  );
  return { status, stderr, lines: stdout.trim().split('\n') };
}

test('the place that a page answers is taken for the next one, to the end', async () => {
  const first = await client.events(0, EVENTS - 1);
  expect(String(first.after)).toHaveLength(16);
  const second = await client.events(first.after, EVENTS);
  expect(second.items[0]?.seq).toBe(first.after + 1);
  expect(await client.events(second.after)).toEqual({ items: [], after: second.after });
});

test('a stream goes on after the event that was seen last', async () => {
  const { items } = await client.events(0, 2);
  const [first, second] = items.map(({ seq }) => seq) as [number, number];
  for await (const { seq } of client.follow({ after: first })) {
    expect(seq).toBe(second);
    break;
  }
});

test('the command prints page after page, and goes on after a number', { timeout: 60_000 }, () => {
  const all = sealpool('events');
  expect([all.status, all.stderr]).toEqual([0, '']);
  const number = (line: string | undefined): string => line?.split(' ')[0] ?? '';
  expect(all.lines.length).toBeGreaterThanOrEqual(EVENTS);
  const rest = sealpool('events', '--after', number(all.lines.at(-3)));
  expect([rest.status, rest.stderr]).toEqual([0, '']);
  expect(rest.lines).toEqual(all.lines.slice(-2));
});

test('a number that no event can have is refused with what is asked for', async () => {
  for (const after of ['9007199254740992', '99999999999999999999'])
    await expect(client.events(after as never)).rejects.toMatchObject({
      problem: { status: 400, detail: expect.stringMatching(/the number of an event/) },
    });
  expect(sealpool('events', '--after', '9007199254740992')).toMatchObject({
    status: 2,
    stderr: expect.stringMatching(/--after must be a whole number from 0 on/),
  });
});
