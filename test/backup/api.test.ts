/** The route and the command, against real and false control planes. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { chmodSync, existsSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { createApp } from '../../src/api/app.ts';
import { EXIT, runCommand } from '../../src/cli/run.ts';
import { sleep } from '../../src/main/machine.ts';
import { DEFAULTS } from '../../src/scheduler/context.ts';
import { ApiWorld, OURS } from '../api/api-world.ts';
import { freshFolder, sha256 } from './files.ts';

let world: ApiWorld;
beforeAll(async () => {
  world = await ApiWorld.open();
});
afterAll(() => world.close());

test('the file, its size, its hash and its type; for admins of all miners only', async () => {
  const answer = await world.app.request('/v1/backup', { method: 'POST', headers: { authorization: `Bearer ${world.admin}` } });
  expect(answer.status).toBe(200);
  expect(answer.headers.get('content-type')).toBe('application/vnd.sqlite3');
  const bytes = new Uint8Array(await answer.arrayBuffer());
  expect(answer.headers.get('content-length')).toBe(String(bytes.length));
  const file = join(freshFolder(), 'a.sqlite');
  writeFileSync(file, bytes);
  expect(answer.headers.get('x-sealpool-hash')).toBe(sha256(file));
  for (const [token, status] of [
    [await world.token('operator'), 403],
    [await world.token('admin', [OURS]), 403],
    [undefined, 401],
  ] as const) {
    expect((await world.call('POST', '/v1/backup', { token })).status).toBe(status);
  }
});

test('where the platform keeps the database, it is refused with what to do instead', async () => {
  const { door, objects } = world;
  const app = createApp({
    door,
    objects,
    settings: { ...DEFAULTS, network: 'dev', miners: {}, threads: [] },
    log: pino({ level: 'silent' }),
    requestId: () => 'r',
    sleep,
    ending: new AbortController().signal,
    checks: async () => [],
  });
  const answer = await app.request('/v1/backup', { method: 'POST', headers: { authorization: `Bearer ${world.admin}` } });
  expect(answer.status).toBe(503);
  expect(await answer.json()).toMatchObject({ code: 'backup_by_platform', detail: expect.stringContaining('point-in-time recovery') });
});

/** A server of the app, or of a false control plane; answers its URL. */
async function served(handler: Parameters<typeof createServer>[1]): Promise<string> {
  const server: Server = createServer(handler).listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await new Promise((resolve) => server.once('listening', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** The app over real HTTP. */
const honest = (): Promise<string> =>
  served((request, response) => {
    void (async () => {
      const headers = { authorization: request.headers.authorization ?? '' };
      const answer = await world.app.request(request.url ?? '/', { method: request.method ?? 'GET', headers });
      response.writeHead(answer.status, Object.fromEntries(answer.headers));
      response.end(Buffer.from(await answer.arrayBuffer()));
    })();
  });

async function sealpool(url: string, ...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const [out, err]: [string[], string[]] = [[], []];
  const terminal = { out: (text: string) => void out.push(text), err: (text: string) => void err.push(text) };
  const code = await runCommand(argv, () => ({ url, token: world.admin }), terminal);
  return { code, out: out.join('\n'), err: err.join('\n') };
}

test('the command writes the file for its owner only, and replaces none unless told to', async () => {
  const url = await honest();
  const folder = freshFolder();
  const file = join(folder, 'sealpool.backup');
  const first = await sealpool(url, 'backup', file);
  expect([first.code, first.err]).toEqual([EXIT.done, '']);
  expect(first.out).toMatch(/keep it as you keep a password/);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(readdirSync(folder)).toEqual(['sealpool.backup']);
  writeFileSync(file, 'dear');
  const second = await sealpool(url, 'backup', file);
  expect(second).toMatchObject({ code: EXIT.usage, err: expect.stringMatching(/is there already; .* --force/) });
  expect(readFileSync(file, 'utf8')).toBe('dear');
  chmodSync(file, 0o644);
  const third = await sealpool(url, 'backup', file, '--force', '--json');
  expect(JSON.parse(third.out)).toEqual({ file, sizeBytes: statSync(file).size, hash: sha256(file) });
  expect(statSync(file).mode & 0o777).toBe(0o600);
});

test('a folder that is not there, and a token that may not, leave nothing behind', async () => {
  const folder = freshFolder();
  expect(await sealpool('http://127.0.0.1:1', 'backup', join(folder, 'none', 'a'))).toMatchObject({ code: EXIT.usage });
  const url = await honest();
  const code = await runCommand(['backup', join(folder, 'a')], () => ({ url, token: undefined }), {
    out: () => undefined,
    err: () => undefined,
  });
  expect(code).toBe(EXIT.refused);
  expect(readdirSync(folder)).toEqual([]);
});

test.each([
  ['other bytes than the hash says', (body: Buffer) => body.fill(0, 0, 10)],
  ['a body that is cut off', (body: Buffer) => body.subarray(0, 100)],
])('%s: the file is not taken, what was there stays', async (_what, change) => {
  const body = Buffer.alloc(4_096, 7);
  const file = join(freshFolder(), 'a');
  writeFileSync(file, Buffer.alloc(4_096, 7));
  const hash = sha256(file);
  const given = change(Buffer.from(body));
  const url = await served((_request, response) => {
    response.writeHead(200, { 'content-length': 4_096, 'x-sealpool-hash': hash });
    if (given.length === 4_096) response.end(given);
    else response.write(given, () => response.destroy());
  });
  const result = await sealpool(url, 'backup', file, '--force');
  expect(result.code).not.toBe(EXIT.done);
  expect(sha256(file)).toBe(hash);
  expect(existsSync(`${file}.part`)).toBe(false);
});
