/** `sealpool sectors fetch`: the data of an unsealed sector over a network that breaks, and data that is not what it was. */
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { EXIT, runCommand } from '../../src/cli/run.ts';
import { listen } from '../../src/main/http-server.ts';
import { objectRoutes } from '../../src/objects/routes.ts';
import { ApiWorld, OURS } from '../api/api-world.ts';
import { bytesOf } from '../objects/conformance.ts';
import { job } from '../store/rows.ts';

const bytes = bytesOf('unsealed', 100_000);
const hash = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

let world: ApiWorld;
let server: Awaited<ReturnType<typeof listen>>;
let objects: Server;
let out: string;
/** After so many bytes of their body each, the next answers of the object store break off. */
let cuts: number[] = [];
let ranges: (string | undefined)[] = [];

beforeAll(async () => {
  world = await ApiWorld.open(() => urlOf(objects));
  server = await listen((request) => world.app.fetch(request), '127.0.0.1', 0);
  const routes = objectRoutes(world.objects);
  objects = createServer((request, response) => {
    const { range } = request.headers;
    ranges.push(range);
    void Promise.resolve(routes.fetch(new Request(urlOf(objects) + request.url, range === undefined ? {} : { headers: { range } }))).then(
      async (answer) => {
        const body = Buffer.from(await answer.arrayBuffer());
        const cut = cuts.shift();
        response.writeHead(answer.status, Object.fromEntries(answer.headers)).flushHeaders();
        if (cut === undefined) response.end(body);
        else response.write(body.subarray(0, cut), () => response.socket?.end());
      },
    );
  });
  await new Promise<void>((resolve) => objects.listen(0, '127.0.0.1', resolve));
});
afterAll(async () => {
  objects.close();
  objects.closeAllConnections();
  await server.close(0);
  world.close();
});
const urlOf = (listening: Server): string => `http://127.0.0.1:${(listening.address() as AddressInfo).port}`;
beforeEach(async () => {
  [cuts, ranges] = [[], []];
  out = await mkdtemp(join(tmpdir(), 'sealpool-fetch-'));
  return () => rm(out, { recursive: true, force: true });
});

let count = 0;
/** A finished unseal job of sector `number` whose data is in the object store; answers the file it is in. */
async function unsealed(number: number): Promise<string> {
  const made = job(++count, { plan: 'unseal', miner: OURS, number, state: 'Finished', waiting: { for: 'nothing' } });
  const key = `jobs/${made.id}/a-unsealed0/piece`;
  await world.objects.put(key, [bytes] as unknown as AsyncIterable<Uint8Array>, bytes.length);
  made.data.artifacts = { piece: { key, sizeBytes: String(bytes.length), hash, madeIn: 'Allocated', madeBy: 'r-runner0' } };
  await world.door.run((ctx) => ctx.tx.insertJob(made));
  return join(world.folder, 'objects', key);
}

async function fetchSector(...args: string[]): Promise<{ exit: number; out: string; err: string }> {
  const said = { out: '', err: '' };
  const connect = () => ({ url: `http://127.0.0.1:${server.port}`, token: world.admin });
  const terminal = { out: (text: string) => void (said.out += text), err: (text: string) => void (said.err += text) };
  const exit = await runCommand(['sectors', 'fetch', ...args], connect, terminal);
  return { exit, ...said };
}

test('the data comes into the file, with its size and hash told; a file that is there is not touched', async () => {
  await unsealed(1);
  const file = join(out, 'letter');
  expect(await fetchSector('s-t01000-1', '--out', file)).toEqual({ exit: EXIT.done, out: `${file}: 100000 bytes, ${hash}`, err: '' });
  expect((await readFile(file)).equals(bytes)).toBe(true);
  expect(await readdir(out)).toEqual(['letter']);
  await writeFile(file, 'mine');
  expect(await fetchSector('s-t01000-1', '--out', file)).toMatchObject({
    exit: EXIT.usage,
    err: expect.stringContaining('is there already'),
  });
  expect(await readFile(file, 'utf8')).toBe('mine');
});

test('as JSON, and what is refused is told with its sentence', async () => {
  await unsealed(2);
  const { out: text } = await fetchSector('s-t01000-2', '--out', join(out, 'two'), '--json');
  expect(JSON.parse(text)).toMatchObject({ sector: 's-t01000-2', sizeBytes: '100000', hash, file: join(out, 'two') });
  expect(await fetchSector('s-t01000-99', '--out', join(out, 'none'))).toMatchObject({
    exit: EXIT.refused,
    err: expect.stringContaining('s-t01000-99'),
  });
  expect(await readdir(out)).toEqual(['two']);
  expect(await fetchSector('s-t01000-2', '--out', join(out, 'no', 'folder'))).toMatchObject({ exit: EXIT.usage });
});

test('a connection that breaks is taken up where it broke, as often as it gets on', async () => {
  await unsealed(3);
  cuts = [10, 20_000, 1, 0, 50_000];
  expect(await fetchSector('s-t01000-3', '--out', join(out, 'three'))).toMatchObject({ exit: EXIT.done });
  expect(ranges).toEqual([undefined, 'bytes=10-', 'bytes=20010-', 'bytes=20011-', 'bytes=20011-', 'bytes=70011-']);
  expect((await readFile(join(out, 'three'))).equals(bytes)).toBe(true);
});

test('one that gives nothing any more ends it; the same command goes on later', async () => {
  await unsealed(4);
  cuts = [30_000, 0, 0, 0];
  const file = join(out, 'four');
  expect(await fetchSector('s-t01000-4', '--out', file)).toMatchObject({
    exit: EXIT.unreachable,
    err: expect.stringMatching(/has 30000 of 100000 bytes, the same command goes on/),
  });
  expect(await readdir(out)).toEqual(['four.part']);
  ranges = [];
  expect(await fetchSector('s-t01000-4', '--out', file)).toMatchObject({ exit: EXIT.done });
  expect(ranges).toEqual(['bytes=30000-']);
  expect((await readFile(file)).equals(bytes)).toBe(true);
});

test.each([
  ['another byte in the store', async (object: string) => writeFile(object, Buffer.concat([bytes.subarray(1), Buffer.from('x')]))],
  ['a foreign FILE.part', async () => writeFile(join(out, 'file.part'), bytesOf('another', 500))],
])('%s is noticed by the hash: no file comes of it', async (_name, spoil) => {
  await spoil(await unsealed(10 + count));
  const ref = `s-t01000-${10 + count - 1}`;
  const first = await fetchSector(ref, '--out', join(out, 'file'));
  expect(first).toMatchObject({ exit: EXIT.internal, err: expect.stringContaining('its hash differs') });
  expect(await readdir(out)).toEqual([]);
});

test('a FILE.part that is too long is begun anew', async () => {
  await unsealed(30);
  await writeFile(join(out, 'file.part'), Buffer.alloc(100_001));
  expect(await fetchSector('s-t01000-30', '--out', join(out, 'file'))).toMatchObject({ exit: EXIT.done });
  expect((await readFile(join(out, 'file'))).equals(bytes)).toBe(true);
});
