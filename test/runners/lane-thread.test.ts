/** Lanes here and in a thread of their own: the bytes go where they belong, and every ending is told as what it was. */
import { type FileHandle, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { type RequestListener, type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { crc32 } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { bundleAgent } from '../../scripts/bundle-agent.ts';
import { LANE_THREAD, LaneThread } from '../../src/runners/lane-thread.ts';
import { Unframed } from '../../src/runners/range-lane.ts';
import { Enough, type Lane, type Sink, type Target, laneHere } from '../../src/runners/range-sink.ts';
import { bytesOf } from '../objects/conformance.ts';

const STALL_MS = 30_000;
const bytes = bytesOf('thread', 3 * 2 ** 20 + 5);

let dir: string;
let server: Server;
let answer: RequestListener;
let file: FileHandle;
let moved: { bytes: number; sum: number };
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'lane-thread-'));
  file = await open(join(dir, 'file'), 'w+');
  moved = { bytes: 0, sum: 0 };
  answer = (_request, response) => void response.writeHead(206, { 'content-length': bytes.length }).end(bytes);
  server = createServer((request, response) => answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(async () => {
  await file.close();
  await new Promise((resolve) => {
    server.close(resolve);
    server.closeAllConnections();
  });
  await rm(dir, { recursive: true });
});

const url = (): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}/x`;
const sinkAt = (more: Partial<Sink> = {}): Sink => ({ fd: file.fd, at: 0, skipBytes: 0, mostBytes: bytes.length, sum: 0, ...more });

function get(lane: Lane, sink: Sink | Error, signal = new AbortController().signal): Promise<void> {
  const target: Target = {
    begin: () => {
      if (sink instanceof Error) throw sink;
      return sink;
    },
    moved: (count, sum) => (moved = { bytes: moved.bytes + count, sum }),
    refuse: (status, body) => new Error(`${status}: ${body}`),
  };
  return lane.get(url(), {}, signal, target);
}

/** `use` with a lane, which is closed after it. */
async function withThread(use: (lane: Lane, thread: LaneThread) => Promise<void>, program?: URL): Promise<void> {
  const thread = program === undefined ? new LaneThread(STALL_MS) : new LaneThread(STALL_MS, program);
  try {
    await use(thread.lane(), thread);
  } finally {
    await thread.close();
  }
}

async function withLaneHere(use: (lane: Lane) => Promise<void>): Promise<void> {
  const lane = laneHere(STALL_MS);
  await use(lane).finally(() => lane.close());
}

describe.each([
  ['here', withLaneHere],
  ['in a thread', withThread],
])('a lane %s', (_where, withLane) => {
  test('writes what is wanted of an answer at its place, and knows its sum', () =>
    withLane(async (lane) => {
      await get(lane, sinkAt({ at: 7 }));
      expect(moved).toEqual({ bytes: bytes.length, sum: crc32(bytes) });
      expect((await readFile(join(dir, 'file'))).subarray(7).equals(bytes)).toBe(true);
      moved = { bytes: 0, sum: 0 };
      const before = crc32(bytes.subarray(0, 1000));
      await expect(get(lane, sinkAt({ skipBytes: 1000, mostBytes: 5000, sum: before }))).rejects.toBeInstanceOf(Enough);
      expect(moved).toEqual({ bytes: 5000, sum: crc32(bytes.subarray(0, 6000)) });
    }));

  test('tells a full disk, a refusal, an answer without a length and what its reader does not want as that, and goes on', () =>
    withLane(async (lane) => {
      const full = await open('/dev/full', 'w');
      await expect(get(lane, sinkAt({ fd: full.fd }))).rejects.toMatchObject({ code: 'ENOSPC' });
      await full.close();
      const unwanted = new Error('of another object');
      await expect(get(lane, unwanted)).rejects.toBe(unwanted);
      const usual = answer;
      answer = (_request, response) => void response.writeHead(200, { 'content-length': 0 }).end();
      await expect(get(lane, unwanted)).rejects.toBe(unwanted);
      answer = (_request, response) => void response.writeHead(403, { 'content-length': 2 }).end('no');
      await expect(get(lane, sinkAt())).rejects.toThrow('403: no');
      answer = (_request, response) => void response.writeHead(200, { 'transfer-encoding': 'chunked' }).end('x');
      await expect(get(lane, sinkAt())).rejects.toBeInstanceOf(Unframed);
      answer = usual;
      await get(lane, sinkAt());
      expect(moved.sum).toBe(crc32(bytes));
    }));

  test('ends with the signal, before and after bytes came', () =>
    withLane(async (lane) => {
      const stop = new AbortController();
      answer = (_request, response) => {
        response.writeHead(206, { 'content-length': bytes.length });
        response.write(bytes.subarray(0, 2 ** 20));
      };
      const got = get(lane, sinkAt(), stop.signal);
      await expect.poll(() => moved.bytes).toBeGreaterThan(0);
      stop.abort(new Error('cancelled'));
      await expect(got).rejects.toThrow('cancelled');
      await expect(get(lane, sinkAt(), stop.signal)).rejects.toThrow('cancelled');
    }));
});

test('a thread that ends takes its lanes along, also those that are asked later', () =>
  withThread(async (lane, thread) => {
    answer = () => undefined;
    const asked = new Promise((resolve) => server.once('request', resolve));
    const got = get(lane, sinkAt()).catch((error: unknown) => error);
    await asked;
    await thread.close();
    expect(String(await got)).toContain('the thread of the download is gone');
    await expect(get(lane, sinkAt())).rejects.toThrow('the thread of the download is gone');
  }));

test("the agent's one file is a lane's thread as well, and no second agent", async () => {
  const bundle = join(dir, 'agent.mjs');
  await writeFile(bundle, await bundleAgent());
  await withThread((lane) => get(lane, sinkAt()), pathToFileURL(bundle));
  expect(moved).toEqual({ bytes: bytes.length, sum: crc32(bytes) });
  const worker = new Worker(bundle, {
    workerData: { role: LANE_THREAD, stallMs: STALL_MS },
    stderr: true,
    argv: ['no', 'words', 'of', 'it'],
  });
  let said = '';
  worker.stderr.on('data', (text: Buffer) => (said += text.toString()));
  const come = new Promise((resolve) => worker.once('message', resolve));
  worker.postMessage({ kind: 'get', lane: 0, url: url(), headers: {} });
  await come;
  await worker.terminate();
  // An agent would have told what is wrong with its words.
  expect(said).toBe('');
});
