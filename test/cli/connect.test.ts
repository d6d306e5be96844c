/** Whom the command line gives the token that the control plane of the data folder left there. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { ENTRY, cleanEnvironment } from '../e2e/processes.ts';

const KEPT = 'sp-api-kept-for-the-own-control-plane';

/** Answers 401 to all, and notes what each request brought. */
let server: Server;
const brought: (string | undefined)[] = [];
let port: number;
let data: string;

beforeAll(async () => {
  server = createServer((request, response) => {
    brought.push(request.headers.authorization);
    response.writeHead(401, { 'content-type': 'application/problem+json' });
    response.end(JSON.stringify({ type: 'about:blank', title: 'x', status: 401, code: 'unauthorized', detail: 'no token of ours' }));
  });
  await new Promise<void>((resolve) => server.listen(0, resolve));
  ({ port } = server.address() as AddressInfo);
});
afterAll(() => server.close());
beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), 'sealpool-connect-'));
  writeFileSync(join(data, 'admin.token'), `${KEPT}\n`);
  brought.length = 0;
});
afterEach(() => rmSync(data, { recursive: true, force: true }));

const own = (url: string): void => writeFileSync(join(data, 'control-plane.url'), `${url}\n`);

function sealpool(args: string[], env: Record<string, string> = {}): Promise<{ code: number; stderr: string }> {
  const words = ['--disable-warning=ExperimentalWarning', ENTRY, 'sectors', 'list', '--data', data, ...args];
  return new Promise((resolve) => {
    execFile(process.execPath, words, { env: { ...cleanEnvironment(), ...env } }, (error, _stdout, stderr) =>
      resolve({ code: Number(error?.code ?? 0), stderr }),
    );
  });
}

test.each([
  ['nothing is named', (at: number) => ({ own: `http://127.0.0.1:${at}`, args: [] })],
  ['the very URL is named', (at: number) => ({ own: `http://localhost:${at}`, args: ['--url', `http://localhost:${at}/`] })],
  ['it listens on all addresses', (at: number) => ({ own: `http://0.0.0.0:${at}`, args: ['--url', `http://127.0.0.1:${at}`] })],
  ['loopback by its name', (at: number) => ({ own: `http://127.0.0.1:${at}`, args: ['--url', `http://localhost:${at}`] })],
] as const)('the own control plane gets the kept token: %s', { timeout: 30_000 }, async (_how, of) => {
  const asked = of(port);
  own(asked.own);
  const { code, stderr } = await sealpool([...asked.args]);
  expect(brought).toEqual([`Bearer ${KEPT}`]);
  expect(code).toBe(4);
  expect(stderr).not.toMatch(/--token-file/);
});

test.each([
  ['by flag', (at: number) => ({ args: ['--url', `http://127.0.0.1:${at}`], env: {} })],
  ['by the environment', (at: number) => ({ args: [], env: { SEALPOOL_URL: `http://localhost:${at}` } })],
])('another one that is named %s gets none, and the command says how to give one', { timeout: 30_000 }, async (_how, of) => {
  own('http://127.0.0.1:5230');
  const { args, env } = of(port);
  const { code, stderr } = await sealpool(args, env);
  expect(brought).toEqual([undefined]);
  expect(code).toBe(4);
  expect(stderr).toMatch(/admin\.token was not sent, since it is for http:\/\/127\.0\.0\.1:5230; .* --token-file or SEALPOOL_TOKEN_FILE/);
  const json = await sealpool([...args, '--json'], env);
  expect(JSON.parse(json.stderr)).toMatchObject({ code: 'unauthorized' });
});

test('a token that is named goes where the URL leads', { timeout: 30_000 }, async () => {
  own('http://127.0.0.1:5230');
  const file = join(data, 'named.token');
  writeFileSync(file, 'sp-api-named-token\n');
  const url = ['--url', `http://127.0.0.1:${port}`];
  await sealpool([...url, '--token-file', file], { SEALPOOL_TOKEN: 'sp-api-of-the-environment' });
  await sealpool(url, { SEALPOOL_TOKEN_FILE: file });
  expect(brought).toEqual(['Bearer sp-api-named-token', 'Bearer sp-api-named-token']);
});
