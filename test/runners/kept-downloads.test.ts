/** Half-fetched inputs outlive their attempt and their agent, and go when nobody comes back for them. */
import { mkdtempSync, readFileSync, readdirSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { KeptDownloads } from '../../src/runners/kept-downloads.ts';
import { keepSwept } from '../../src/runners/work-folders.ts';
import { manifestOf } from '../../src/schema/manifest.ts';
import type { InputFile } from '../../src/schema/runner.ts';
import { bytesOf } from '../objects/conformance.ts';
import { FaultyProxy } from '../objects/faulty-proxy.ts';
import { type LocalServer, startLocalServer } from '../objects/local-server.ts';

const PART = 50_000;
const bytes = bytesOf('kept', 4 * PART);
const manifest = manifestOf(
  PART,
  [0, 1, 2, 3].map((at) => crc32(bytes.subarray(at * PART, (at + 1) * PART))),
);

let server: LocalServer;
let proxy: FaultyProxy;
let dataDir: string;
let input: InputFile;
beforeEach(async () => {
  server = await startLocalServer();
  proxy = await FaultyProxy.start(server.url);
  dataDir = mkdtempSync(join(tmpdir(), 'kept-'));
  const body = (async function* () {
    yield bytes;
  })();
  const { hash } = await server.store.put('jobs/j/a/sealed', body, bytes.length);
  const url = (await server.store.getUrl('jobs/j/a/sealed', 3_600_000)).replace(server.url, proxy.url);
  input = { name: 'sealed', url, sizeBytes: String(bytes.length), hash, manifest };
});
afterEach(async () => {
  await proxy.close();
  await server.close();
  rmSync(dataDir, { recursive: true, force: true });
});

const downloads = (): KeptDownloads => new KeptDownloads({ dataDir, worthBytes: 0 });
const left = (): string[] => readdirSync(join(dataDir, 'fetching')).sort();
const path = (attempt: string): string => join(dataDir, 'work', attempt, 'in/sealed');

/** An attempt that is broken off when three of four parts are there. */
async function brokenOff(): Promise<void> {
  const stop = new AbortController();
  proxy.fault = ({ range }) =>
    range?.startsWith(`bytes=${3 * PART}-`) === true ? { kind: 'hold', until: new Promise(() => undefined) } : undefined;
  const broken = downloads().fetch(input, path('one'), { signal: stop.signal, patienceMs: 60_000 });
  const journal = (): number =>
    left()
      .filter((name) => name.endsWith('.journal'))
      .flatMap((name) => readFileSync(join(dataDir, 'fetching', name), 'utf8').split('\n')).length - 2;
  await expect.poll(journal, { timeout: 15_000 }).toBe(3);
  stop.abort(new Error('the agent ends'));
  await expect(broken).rejects.toThrow('the agent ends');
  proxy.reset();
}

test('another attempt, of another process, fetches only what is missing', async () => {
  await brokenOff();
  await downloads().fetch(input, path('two'), { signal: new AbortController().signal, patienceMs: 60_000 });
  expect(readFileSync(path('two')).equals(bytes)).toBe(true);
  expect(proxy.passed.map(({ range }) => range)).toEqual([`bytes=${3 * PART}-${4 * PART - 1}`]);
  expect(left()).toEqual([]);
});

test('two attempts at once do not share a file', async () => {
  const kept = downloads();
  const options = { signal: new AbortController().signal, patienceMs: 60_000 };
  await Promise.all(['one', 'two'].map((attempt) => kept.fetch(input, path(attempt), options)));
  for (const attempt of ['one', 'two']) expect(readFileSync(path(attempt)).equals(bytes)).toBe(true);
});

test('what nobody comes back for goes', async () => {
  await brokenOff();
  expect(left()).toHaveLength(2);
  const kept = downloads();
  const stop = keepSwept({ dataDir, log: () => undefined, sweepMs: 10 }, kept);
  onTestFinished(stop);
  await kept.sweep(Date.now());
  expect(left()).toHaveLength(2);
  for (const name of left()) utimesSync(join(dataDir, 'fetching', name), 0, 0);
  await expect.poll(left, { timeout: 15_000 }).toEqual([]);
});

test('what an agent before this one left goes at the start, before anything is fetched', async () => {
  await brokenOff();
  for (const name of left()) utimesSync(join(dataDir, 'fetching', name), 0, 0);
  onTestFinished(keepSwept({ dataDir, log: () => undefined }, downloads()));
  await expect.poll(left, { timeout: 15_000 }).toEqual([]);
});

test('it counts as free and makes room for a stage, but for what is being fetched or what the stage goes on with', async () => {
  await brokenOff();
  const kept = downloads();
  const freeable = await kept.freeableBytes();
  expect(freeable).toBeGreaterThanOrEqual(3 * PART);
  await kept.makeRoom(0, []);
  await kept.makeRoom(Number.MAX_SAFE_INTEGER, [input]);
  expect(left()).toHaveLength(2);

  let goOn: () => void = () => undefined;
  const until = new Promise<void>((resolve) => (goOn = resolve));
  proxy.fault = () => ({ kind: 'hold', until });
  const fetching = kept.fetch(input, path('two'), { signal: new AbortController().signal, patienceMs: 60_000 });
  await expect.poll(() => proxy.passed.length, { timeout: 15_000 }).toBe(1);
  expect(await kept.freeableBytes()).toBe(0);
  await kept.makeRoom(Number.MAX_SAFE_INTEGER, []);
  expect(left()).toHaveLength(2);
  goOn();
  await fetching;
  expect(readFileSync(path('two')).equals(bytes)).toBe(true);

  await brokenOff();
  expect(await kept.freeableBytes()).toBeGreaterThanOrEqual(3 * PART);
  await kept.makeRoom(Number.MAX_SAFE_INTEGER, []);
  expect([await kept.freeableBytes(), left()]).toEqual([0, []]);
});
