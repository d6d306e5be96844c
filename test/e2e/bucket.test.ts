/**
 * A sector whose miner storage is a bucket, through real processes over a real S3 server: persisted while the bucket refuses at first,
 * published for a snap, its update stored beside it, and read out again; the bucket's keys are with the runner and nowhere else.
 */
import { execFile } from 'node:child_process';
import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { GetObjectCommand, ListMultipartUploadsCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
import { afterEach, expect, test } from 'vitest';
import type { SectorDetail } from '../../src/api/client.ts';
import { FaultyProxy } from '../objects/faulty-proxy.ts';
import { ACCESS_KEY, BUCKET, HAS_SEAWEEDFS, REGION, SECRET_KEY, type S3Server, startSeaweedfs } from '../objects/s3-servers.ts';
import { Deployment, ENTRY, MINER, cleanEnvironment } from './processes.ts';

const run = promisify(execFile);
let server: S3Server;
let proxy: FaultyProxy;
let deployment: Deployment;
afterEach(async () => {
  await deployment?.end();
  await proxy?.close();
  await server?.close();
});

const THREADS = ['sealer', 'snapup', 'unseal'].map((plan) => `{ plan = "${plan}" }`).join(', ');
const STORED = [
  'cache/s-t01000-0/p_aux',
  'cache/s-t01000-0/sc-02-data-tree-r-last.dat',
  'cache/s-t01000-0/sector.json',
  'cache/s-t01000-0/t_aux',
];

/** What is enough on a busy machine as well. */
const WITHIN_MS = 400_000;

const keys = async (): Promise<string[]> =>
  ((await server.client.send(new ListObjectsV2Command({ Bucket: BUCKET }))).Contents ?? []).map(({ Key }) => Key as string);

/** All files below a folder. */
function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile());
}

test.runIf(HAS_SEAWEEDFS)('a sector lives in a bucket: sealed, snapped, read out', { timeout: 1_200_000 }, async () => {
  server = await startSeaweedfs();
  proxy = await FaultyProxy.start(server.endpoint);
  deployment = await Deployment.start({
    epochMs: 100,
    // A stage that is begun anew on a busy machine is no matter here, but takes time.
    settings: {
      SEALPOOL_LOG_LEVEL: 'trace',
      SEALPOOL_SCHEDULER_LEASE_MS: '20000',
      SEALPOOL_WORKERS: `[{ name = "local", sealing_threads = [${THREADS}] }]`,
    },
  });
  const { client, folder } = deployment;
  const [access, secret] = [join(folder, 'access-key'), join(folder, 'secret-key')];
  writeFileSync(access, `${ACCESS_KEY}\n`, { mode: 0o600 });
  writeFileSync(secret, `${SECRET_KEY}\n`, { mode: 0o600 });
  const s3 = `{ endpoint = "${proxy.url}", region = "${REGION}", access_key_file = ${JSON.stringify(access)}, secret_key_file = ${JSON.stringify(secret)} }`;
  // It takes nothing yet.
  proxy.fault = ({ method }) => (method === 'GET' || method === 'HEAD' ? undefined : { kind: 'status', status: 503 });
  const runner = await deployment.addRunner('one', {
    environment: { SEALPOOL_LOG_LEVEL: 'trace', SEALPOOL_RUNNER_STORAGE: `[{ id = "cold", path = "s3://${BUCKET}/miner", s3 = ${s3} }]` },
  });
  const environment = readFileSync(`/proc/${runner.pid}/environ`, 'utf8');
  const [job = ''] = await deployment.pledge();
  const refused = ({ attempts }: SectorDetail): boolean => attempts.some(({ stage, status }) => stage === 'Persist' && status === 'failed');
  const waiting = await deployment.until(job, refused, WITHIN_MS);
  expect(waiting.job).toMatchObject({ state: 'PCLanded', paused: false });
  expect(await keys()).toEqual([]);
  proxy.reset();
  const { job: finished } = await deployment.finished(job, WITHIN_MS);
  expect(finished.data.stored).toMatchObject({ storage: 'cold', root: `s3://${BUCKET}/miner` });
  expect(await keys()).toEqual([...STORED, 'sealed/s-t01000-0'].map((path) => `miner/${path}`));
  expect(await client.storedSector('s-t01000-0')).toMatchObject({ storage: 'cold', root: `s3://${BUCKET}/miner`, damage: [] });
  expect((await client.storage()).items).toMatchObject([{ id: 'cold', path: `s3://${BUCKET}/miner`, problem: null, sectors: 1 }]);

  const list = await run(process.execPath, [ENTRY, 'storage', 'list', '--url', deployment.url], {
    env: { ...cleanEnvironment(), SEALPOOL_TOKEN: deployment.token },
  });
  expect(list.stdout).toContain('note: cold is a bucket, from which lotus-miner does no Window PoSt by itself');

  const data = new Uint8Array(2032).fill(7);
  const piece = await client.addPiece(MINER, data);
  const [snap] = (await client.pledge({ plan: 'snapup', miner: MINER, count: 1, sector: 0, pieces: [piece.id as never] })).items;
  const { attempts } = await deployment.finished(snap?.id ?? '', WITHIN_MS);
  expect(attempts.filter(({ stage }) => stage === 'Publish').map(({ status }) => status)).toEqual(['done']);
  expect(await keys()).toEqual(
    expect.arrayContaining(['miner/sealed/s-t01000-0', 'miner/update/s-t01000-0', 'miner/update-cache/s-t01000-0/p_aux']),
  );
  const json = await server.client.send(new GetObjectCommand({ Bucket: BUCKET, Key: 'miner/cache/s-t01000-0/sector.json' }));
  expect(JSON.parse((await json.Body?.transformToString()) ?? '')).toMatchObject({ miner: MINER });
  const [unseal] = (await client.pledge({ plan: 'unseal', miner: MINER, count: 1, sector: 0 })).items;
  await deployment.finished(unseal?.id ?? '', WITHIN_MS);
  const { url } = await client.pieceData(unseal?.id ?? '');
  expect(new Uint8Array(await (await fetch(url)).arrayBuffer()).slice(0, data.length)).toEqual(data);
  expect((await server.client.send(new ListMultipartUploadsCommand({ Bucket: BUCKET }))).Uploads ?? []).toEqual([]);

  await expect(client.drainStorage('cold', true)).rejects.toThrow('is a bucket, and files are moved between folders only');
  expect(environment.includes(SECRET_KEY)).toBe(false);
  const places = [
    ...filesIn(join(folder, 'runner-one')),
    ...filesIn(join(folder, 'data')),
    join(folder, 'runner-one.log'),
    join(folder, 'serve.log'),
  ];
  for (const path of places) expect([path, readFileSync(path, 'latin1').includes(SECRET_KEY)]).toEqual([path, false]);
  expect(readFileSync(join(folder, 'runner-one.log'), 'utf8')).toContain('does no Window PoSt from it by itself');
});
