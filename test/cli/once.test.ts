/** A command whose answer was lost on the way makes what it makes once. */
import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { EXIT, runCommand } from '../../src/cli/run.ts';
import { listen } from '../../src/main/http-server.ts';
import { ApiWorld } from '../api/api-world.ts';

let world: ApiWorld;
beforeEach(async () => {
  world = await ApiWorld.open();
});
afterEach(() => world.close());

/** The real API behind a connection that breaks after the first `lost` answers were made and before they are sent. */
async function losing(lost: number): Promise<string> {
  const api = await listen(world.app.fetch, '127.0.0.1', 0);
  let left = lost;
  const server: Server = createServer(async (request, response) => {
    const body: Buffer[] = [];
    for await (const chunk of request) body.push(chunk as Buffer);
    const { 'content-length': _length, connection: _connection, 'transfer-encoding': _encoding, ...headers } = request.headers;
    const answer = await fetch(`http://127.0.0.1:${api.port}${request.url}`, {
      method: request.method ?? 'GET',
      headers: headers as Record<string, string>,
      ...(body.length === 0 ? {} : { body: Buffer.concat(body) }),
    });
    const text = await answer.text();
    if (request.method === 'POST' && left > 0) {
      left -= 1;
      response.destroy();
      return;
    }
    response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? '' }).end(text);
  }).listen(0, '127.0.0.1');
  onTestFinished(async () => {
    server.close();
    await api.close(0);
  });
  await new Promise((resolve) => server.once('listening', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function typed(url: string, ...words: string[]) {
  const [out, err]: [string[], string[]] = [[], []];
  const connect = () => ({ url, token: world.admin });
  const code = await runCommand(words, connect, { out: (text) => void out.push(text), err: (text) => void err.push(text) });
  return { code, out: out.join('\n'), err: err.join('\n') };
}

const jobs = async () => ((await world.call('GET', '/v1/sectors', { token: world.admin })).json as { items: { id: string }[] }).items;

test.each([
  ['sectors', 'pledge', '--miner', 't01000', '--count', '3'],
  ['sectors', 'pledge', '--miner', 't01000', '--plan', 'sealer', '--count', '3'],
])('%s %s: the answer was lost once, and there are three jobs and no more', async (...words) => {
  const { code, out } = await typed(await losing(1), ...words, '--json');
  expect(code).toBe(EXIT.done);
  const made = (JSON.parse(out) as { items: { id: string }[] }).items.map(({ id }) => id);
  expect((await jobs()).map(({ id }) => id).sort()).toEqual(made.sort());
  expect(made).toHaveLength(3);
});

test('lost twice, it says so; two commands are two jobs', async () => {
  const lost = await typed(await losing(2), 'sectors', 'pledge', '--miner', 't01000');
  expect(lost).toMatchObject({ code: EXIT.unreachable, err: expect.stringMatching(/does not answer/) });
  expect(await jobs()).toHaveLength(1);
  const url = await losing(0);
  for (let at = 0; at < 2; at += 1) expect((await typed(url, 'sectors', 'pledge', '--miner', 't01000')).code).toBe(EXIT.done);
  expect(await jobs()).toHaveLength(3);
});

test('a token that ends, its new secret, and the end of the older one', async () => {
  const url = await losing(0);
  const made = await typed(url, 'tokens', 'create', '--name', 'ci', '--ttl', '30d');
  const [, token, id] =
    /^(sp-api-[0-9a-f]{64})\ntoken (t-\w+) \(viewer, until 2027-02-\d\d .* UTC\); it is not shown again$/.exec(made.out) ?? [];
  expect(made.out).toMatch(/^sp-api-/);
  const rotated = await typed(url, 'tokens', 'rotate', id as string, '--grace', '1h');
  expect(rotated.out).toMatch(/^sp-api-[0-9a-f]{64}\nthe new secret of token t-\w+, not shown again; the older one is good until 2027-/);
  expect(rotated.out).not.toContain(token);
  expect((await typed(url, 'tokens', 'rotate', id as string, '--grace', '0')).out).toMatch(/the older one has ended$/);
  expect((await typed(url, 'tokens', 'list')).out).toMatch(/created +expires +revoked\n.*\n?.*ci +viewer +all +\S+ \S+ +2027-02-/);
  expect(await typed(url, 'tokens', 'rotate', id as string, '--grace', 'soon')).toMatchObject({ code: EXIT.usage });
});
