/**
 * A whole seal through real processes over a real S3 server: the runner has URLs only, the answer of a completion is lost
 * just before the control plane is killed, and nothing is there twice or half.
 */
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ListMultipartUploadsCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
import { afterEach, expect, test } from 'vitest';
import { FaultyProxy } from '../objects/faulty-proxy.ts';
import { ACCESS_KEY, BUCKET, HAS_SEAWEEDFS, SECRET_KEY, type S3Server, startSeaweedfs } from '../objects/s3-servers.ts';
import { Deployment } from './processes.ts';

let server: S3Server;
let proxy: FaultyProxy;
let deployment: Deployment;
afterEach(async () => {
  await deployment?.end();
  await proxy?.close();
  await server?.close();
});

/** A deployment over a SeaweedFS behind a proxy that can be told to fail. */
async function start(settings: Record<string, string>): Promise<void> {
  server = await startSeaweedfs();
  proxy = await FaultyProxy.start(server.endpoint);
  deployment = await Deployment.start({
    settings: {
      SEALPOOL_OBJECTS_S3_ENDPOINT: proxy.url,
      SEALPOOL_OBJECTS_S3_BUCKET: BUCKET,
      SEALPOOL_OBJECTS_S3_ACCESS_KEY: ACCESS_KEY,
      SEALPOOL_OBJECTS_S3_SECRET_KEY: SECRET_KEY,
      ...settings,
    },
  });
}

/** All files below a folder. */
function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile());
}

test.runIf(HAS_SEAWEEDFS)(
  'a sector is sealed over S3, through a kill in the middle of a completion, and no key is on the runner',
  { timeout: 300_000 },
  async () => {
    await start({ SEALPOOL_LOG_LEVEL: 'trace', SEALPOOL_OBJECTS_S3_PREFIX: 'shard-1' });
    const { folder } = deployment;
    const lost = new Promise<void>((resolve) => {
      let once = true;
      proxy.fault = ({ method, query }) => {
        if (!once || method !== 'POST' || !query.has('uploadId')) return undefined;
        once = false;
        resolve();
        return { kind: 'lose-answer' };
      };
    });
    const runner = await deployment.addRunner('one');
    const environment = readFileSync(`/proc/${runner.pid}/environ`, 'utf8');
    const [job] = await deployment.pledge();
    await lost;
    await deployment.controlPlane.end('SIGKILL');
    await deployment.controlPlane.start();
    const { job: finished } = await deployment.finished(job as string, 240_000);
    expect(finished.data.stored).toBeDefined();
    expect(proxy.passed.filter(({ fault }) => fault === 'lose-answer')).toHaveLength(1);
    expect(proxy.passed.some(({ method, query, status }) => method === 'PUT' && query.has('partNumber') && status === 200)).toBe(true);

    // Everything is below the prefix, and what the finished job needs no more goes.
    const keys = async (): Promise<string[]> =>
      ((await server.client.send(new ListObjectsV2Command({ Bucket: BUCKET }))).Contents ?? []).map(({ Key }) => Key as string);
    expect((await keys()).filter((key) => !key.startsWith('shard-1/'))).toEqual([]);
    await expect.poll(async () => (await keys()).filter((key) => key.includes('/jobs/')).length, { timeout: 30_000 }).toBe(0);

    const runnerFiles = [...filesIn(join(folder, 'runner-one')), join(folder, 'runner-one.log')];
    expect(runnerFiles.length).toBeGreaterThan(1);
    const places = { environment, ...Object.fromEntries(runnerFiles.map((path) => [path, readFileSync(path, 'latin1')])) };
    for (const [where, text] of Object.entries(places)) {
      // The id of the key is part of every signed URL, so only a log could tell it.
      expect([where, text.includes(SECRET_KEY), text.includes(encodeURIComponent(SECRET_KEY))]).toEqual([where, false, false]);
      expect([where, text.includes('X-Amz-Signature=')]).toEqual([where, false]);
    }
    // Nor is it in what the control plane writes.
    for (const path of [...filesIn(join(folder, 'data')), join(folder, 'serve.log')])
      expect([path, readFileSync(path, 'latin1').includes(SECRET_KEY)]).toEqual([path, false]);
  },
);

test.runIf(HAS_SEAWEEDFS)(
  'the control plane is killed in the middle of an upload, and URLs live for two seconds: every object is there once, whole',
  { timeout: 300_000 },
  async () => {
    await start({ SEALPOOL_OBJECTS_URL_TTL_MS: '2000' });
    let release: () => void = () => undefined;
    const until = new Promise<void>((resolve) => (release = resolve));
    const held = new Promise<void>((resolve) => {
      let once = true;
      proxy.fault = ({ method, query }) => {
        if (!once || method !== 'PUT' || !query.has('partNumber')) return undefined;
        once = false;
        resolve();
        return { kind: 'hold', until };
      };
    });
    await deployment.addRunner('one');
    const [job] = await deployment.pledge();
    await held;
    await deployment.controlPlane.end('SIGKILL');
    await deployment.controlPlane.start();
    // Past the life of the URL that it was begun with: it is refused, and a heartbeat brings another one.
    const [first] = proxy.passed.filter(({ fault }) => fault === 'hold');
    const url = `${proxy.url}${first?.path}?${first?.query}`;
    await expect.poll(async () => (await fetch(url, { method: 'PUT', body: 'x' })).status, { timeout: 30_000 }).toBe(403);
    release();
    const { job: finished } = await deployment.finished(job as string, 240_000);
    expect(finished.data.stored).toBeDefined();
    expect(first?.status).toBe(403);
    // One completion of each upload made its object, and none is left open.
    const completed = proxy.passed.filter(({ method, query, status }) => method === 'POST' && query.has('uploadId') && status === 200);
    expect(completed.length).toBeGreaterThan(3);
    expect(new Set(completed.map(({ path }) => path)).size).toBe(completed.length);
    await expect
      .poll(async () => ((await server.client.send(new ListMultipartUploadsCommand({ Bucket: BUCKET }))).Uploads ?? []).length, {
        timeout: 30_000,
      })
      .toBe(0);
  },
);
