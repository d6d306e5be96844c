/** A bucket as miner storage when its endpoint refuses, loses, alters or is full; and that nothing of its keys is told. */
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CreateMultipartUploadCommand } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { S3Bucket } from '../../src/objects/s3-bucket.ts';
import { StorageWatch } from '../../src/runners/storage-paths.ts';
import type { Report } from '../../src/schema/runner.ts';
import { bytesOf } from '../objects/conformance.ts';
import { FaultyProxy } from '../objects/faulty-proxy.ts';
import {
  BUCKET,
  HAS_SEAWEEDFS,
  LEAST_PART_BYTES,
  SECRET_KEY,
  SERVER_HOOK_MS,
  type S3Server,
  startSeaweedfs,
} from '../objects/s3-servers.ts';
import { optionsFor } from '../objects/s3-store.ts';
import { useAgent } from './agent-fixture.ts';
import type { GrantWish } from './control-plane.ts';
import { type Place, bucketPlace, reportedSlowly } from './storage-place.ts';

const fixture = useAgent();
const sealed = bytesOf('sealed', LEAST_PART_BYTES + 77);
const SEALED = 'sealed/s-t01000-7';
const SECTOR_JSON = 'cache/s-t01000-7/sector.json';
const wish: GrantWish = {
  stage: 'Persist',
  work: {
    kind: 'persist',
    storage: 'main',
    files: [{ artifact: 'sealed', path: SEALED }],
    sectorJson: { path: SECTOR_JSON, content: { number: '7' } },
  },
  inputs: { sealed },
};
const full = { outcome: 'failed', code: 'storage_full' };

let server: S3Server;
let proxy: FaultyProxy;
let place: Place;
let prefix = '';
const open = (more: Parameters<typeof bucketPlace>[3] = {}): Place => bucketPlace(server, proxy, prefix, more);

describe.runIf(HAS_SEAWEEDFS)('a bucket that fails', { timeout: 180_000 }, () => {
  beforeAll(async () => {
    server = await startSeaweedfs();
    proxy = await FaultyProxy.start(server.endpoint);
  }, SERVER_HOOK_MS);
  afterAll(async () => {
    await proxy?.close();
    await server?.close();
  });
  beforeEach(() => {
    proxy.reset();
    prefix = `${randomBytes(6).toString('hex')}/`;
    place = open();
  });
  afterEach(() => place.close());
  const start = () => fixture.start({ storage: [place.root] });

  async function persisted(given = wish): Promise<Report> {
    const { attempt } = await fixture.plane.grant(given);
    return reportedSlowly(fixture, attempt);
  }

  test.each([
    ['refuses', 403, 'refused sending part [12]'],
    ['is overloaded', 503, 'failed sending part [12]'],
    ['is full', 507, 'has no room for sending part [12]'],
  ])(
    'one that %s (%i) lets the job wait or go elsewhere; nothing is left, no key is told, and it goes on after that',
    async (_how, status, says) => {
      await start();
      proxy.fault = ({ method, query }) => (method === 'PUT' && query.has('partNumber') ? { kind: 'status', status } : undefined);
      const refused = await persisted();
      expect(refused).toMatchObject({
        ...full,
        message: expect.stringMatching(new RegExp(`^storage main: bucket ${BUCKET} at .* ${says}`)),
      });
      expect([await place.names(), await place.drafts()]).toEqual([[], []]);
      proxy.reset();
      expect(await persisted()).toMatchObject({ outcome: 'done', result: { root: place.root.path } });
      const told = [JSON.stringify([refused, fixture.log, fixture.plane.nexts, fixture.plane.heartbeats])];
      for (const name of await readdir(fixture.dataDir)) told.push(await readFile(join(fixture.dataDir, name), 'latin1').catch(() => ''));
      for (const text of told) expect(text.includes(SECRET_KEY)).toBe(false);
    },
  );

  test('a lost answer to a completion is no other object', async () => {
    await start();
    proxy.fault = ({ method, query }, time) =>
      method === 'POST' && query.has('uploadId') && time === 1 ? { kind: 'lose-answer' } : undefined;
    expect(await persisted()).toMatchObject({ outcome: 'done' });
    expect(proxy.passed.filter(({ fault }) => fault === 'lose-answer')).toHaveLength(2);
    expect((await place.get(SEALED))?.equals(sealed)).toBe(true);
  });

  test('a part that was altered on the way is found by its checksum and sent again', async () => {
    await start();
    proxy.fault = ({ query }, time) => (query.get('partNumber') === '2' && time === 1 ? { kind: 'flip-request', atByte: 7 } : undefined);
    expect(await persisted()).toMatchObject({ outcome: 'done' });
    expect((await place.get(SEALED))?.equals(sealed)).toBe(true);
  });

  test('what somebody else puts there meanwhile is not replaced', async () => {
    await start();
    const foreign = bytesOf('foreign', 100);
    let release: () => void = () => undefined;
    const until = new Promise<void>((resolve) => (release = resolve));
    proxy.fault = ({ query }) => {
      if (query.get('partNumber') !== '2') return undefined;
      void place.put(SEALED, foreign).then(release);
      return { kind: 'hold', until };
    };
    expect(await persisted()).toMatchObject({ ...full, message: expect.stringContaining('was changed by somebody else meanwhile') });
    expect((await place.get(SEALED))?.equals(foreign)).toBe(true);
    expect([await place.names(), await place.drafts()]).toEqual([[SEALED], []]);
  });

  test('one that reads back otherwise is taken away again, and sector.json never comes', async () => {
    await start();
    proxy.fault = ({ method, path, range }) =>
      method === 'GET' && range !== undefined && path.endsWith(SEALED) ? { kind: 'flip-answer', atByte: 5 } : undefined;
    expect(await persisted()).toMatchObject({ ...full, message: expect.stringContaining('reads back with hash') });
    expect([await place.names(), await place.drafts()]).toEqual([[], []]);
  });

  test('a range that breaks off is asked for again', async () => {
    await start();
    proxy.fault = ({ method, range, path }, time) =>
      method === 'GET' && range !== undefined && path.endsWith(SEALED) && time === 1
        ? { kind: 'break-answer', afterBytes: 1000 }
        : undefined;
    expect(await persisted()).toMatchObject({ outcome: 'done' });
    expect(proxy.passed.filter(({ fault }) => fault === 'break-answer')).toHaveLength(1);
  });

  test('an endpoint that does not keep to If-None-Match gets nothing', async () => {
    await start();
    let trial = 0;
    proxy.fault = ({ method, path }) => {
      if (method !== 'PUT' || !path.includes('/probes/')) return undefined;
      trial += 1;
      // As one answers that replaces.
      return trial === 2 ? { kind: 'status', status: 200 } : undefined;
    };
    expect(await persisted()).toMatchObject({ ...full, message: expect.stringContaining('although If-None-Match forbids it') });
    expect(await place.names()).toEqual([]);
  });

  test('no part or range is larger than it is said to be, however large the file', async () => {
    await start();
    expect(await persisted({ ...wish, inputs: { sealed: bytesOf('large', 4 * LEAST_PART_BYTES) } })).toMatchObject({ outcome: 'done' });
    const parts = proxy.passed.filter(({ query }) => query.has('partNumber'));
    expect(Math.max(...parts.map(({ contentLength }) => contentLength ?? Infinity))).toBe(LEAST_PART_BYTES);
    const ranges = proxy.passed.filter(({ method, path }) => method === 'GET' && path.endsWith(SEALED));
    expect(ranges.map(({ range }) => range)).toEqual(['bytes=0-8388607', 'bytes=8388608-16777215', 'bytes=16777216-20971519']);
  });

  test('a limit of its own counts what is there; one without counts as large', async () => {
    await place.put('sealed/s-t01000-1', Buffer.alloc(600_000));
    const look = (one: Place) => new StorageWatch([one.root], fixture.dataDir).look(one.root);
    expect(await look(place)).toMatchObject({ freeBytes: 2 ** 50, totalBytes: 2 ** 50, problem: null });
    const limited = open({ maxBytes: 1_000_000 });
    expect(await look(limited)).toMatchObject({ freeBytes: 400_000, totalBytes: 1_000_000, problem: null });
    await fixture.start({ storage: [limited.root] });
    expect(await persisted()).toMatchObject({ ...full, message: expect.stringContaining('400000 bytes free') });
    expect(proxy.passed.some(({ method }) => method === 'POST')).toBe(false);
    limited.close();
  });

  test('a bucket that is gone is no damage to its files', async () => {
    const bucket = new S3Bucket(optionsFor(proxy.url, { bucket: 'not-there', prefix }));
    const root = { ...place.root, bucket };
    await fixture.start({ storage: [root] });
    const says = expect.stringContaining('bucket not-there at');
    const files = [{ path: SEALED, sizeBytes: '5', hash: `sha256:${'0'.repeat(64)}` }];
    expect(await persisted({ stage: 'Verify', work: { kind: 'check-stored', storage: 'main', files } })).toMatchObject({
      ...full,
      message: says,
    });
    expect(await persisted()).toMatchObject({ ...full, message: says });
    expect(await new StorageWatch([root], fixture.dataDir).look(root)).toMatchObject({ problem: says });
    bucket.close();
  });

  test('uploads that a killed attempt left open are aborted by the next one for the file, and by the restart of its runner', async () => {
    const begin = (path: string) => server.client.send(new CreateMultipartUploadCommand({ Bucket: BUCKET, Key: `${prefix}${path}` }));
    await begin(SEALED);
    // Another sector's is left alone.
    await begin(`${SEALED}7`);
    const left = join(fixture.dataDir, 'work', 'a-killed0001');
    await mkdir(left, { recursive: true });
    await begin('cache/s-t01000-9/p_aux');
    await writeFile(join(left, 'bucket-drafts.json'), JSON.stringify({ storage: 'main', keys: ['cache/s-t01000-9/p_aux'] }));
    await start();
    expect((await place.drafts()).sort()).toEqual([`${prefix}${SEALED}`, `${prefix}${SEALED}7`]);
    expect(await persisted()).toMatchObject({ outcome: 'done' });
    expect(await place.drafts()).toEqual([`${prefix}${SEALED}7`]);
  });
});
