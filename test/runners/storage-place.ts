/** The two kinds of places that miner storage can be, for one test file over both: a folder, and a bucket of a real server behind a proxy. */
import { mkdir, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import { expect } from 'vitest';
import { S3Bucket } from '../../src/objects/s3-bucket.ts';
import type { StorageRoot } from '../../src/runners/options.ts';
import type { Report } from '../../src/schema/runner.ts';
import type { FaultyProxy } from '../objects/faulty-proxy.ts';
import { BUCKET, type S3Server } from '../objects/s3-servers.ts';
import { optionsFor } from '../objects/s3-store.ts';
import type { Fixture } from './agent-fixture.ts';

export type Place = {
  readonly root: StorageRoot;
  put(path: string, bytes: Buffer): Promise<void>;
  get(path: string): Promise<Buffer | undefined>;
  remove(path: string): Promise<void>;
  /** Files that have their names, without what is on its way. */
  names(): Promise<string[]>;
  /** What is on its way, or was left. */
  drafts(): Promise<string[]>;
  takeAway(): Promise<void>;
  bringBack(): Promise<void>;
  close(): void;
};

export async function folderPlace(path: string, id = 'main'): Promise<Place> {
  await mkdir(path, { recursive: true });
  const all = async (): Promise<string[]> => {
    const entries = await readdir(path, { recursive: true, withFileTypes: true });
    return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name).slice(path.length + 1));
  };
  return {
    root: { id, path },
    put: async (name, bytes) => {
      await mkdir(dirname(join(path, name)), { recursive: true });
      await writeFile(join(path, name), bytes);
    },
    get: (name) => readFile(join(path, name)).catch(() => undefined),
    remove: (name) => rm(join(path, name)),
    names: async () => (await all()).filter((name) => !name.includes('fetching/')).sort(),
    drafts: async () => (await all()).filter((name) => name.includes('fetching/')),
    takeAway: () => rename(path, `${path}.away`),
    bringBack: () => rename(`${path}.away`, path),
    close: () => undefined,
  };
}

/** Below `prefix`, which ends in a slash, of the tests' bucket. */
export function bucketPlace(server: S3Server, proxy: FaultyProxy, prefix: string, more: Partial<Omit<StorageRoot, 'bucket'>> = {}): Place {
  const { client } = server;
  const address = (path: string) => ({ Bucket: BUCKET, Key: `${prefix}${path}` });
  const bucket = new S3Bucket(optionsFor(proxy.url, { prefix }));
  return {
    root: { id: 'main', path: `s3://${BUCKET}/${prefix.slice(0, -1)}`, ...more, bucket },
    put: async (path, Body) => void (await client.send(new PutObjectCommand({ ...address(path), Body }))),
    get: async (path) => {
      const found = await client.send(new GetObjectCommand(address(path))).catch(() => undefined);
      return found?.Body === undefined ? undefined : Buffer.from(await found.Body.transformToByteArray());
    },
    remove: async (path) => void (await client.send(new DeleteObjectCommand(address(path)))),
    names: async () => {
      const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: BUCKET, Prefix: prefix }));
      return Contents.map(({ Key }) => Key?.slice(prefix.length) ?? '').sort();
    },
    drafts: async () => {
      const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: BUCKET, Prefix: prefix }));
      return Uploads.map(({ Key }) => Key ?? '');
    },
    takeAway: async () => {
      proxy.fault = () => ({ kind: 'status', status: 503 });
    },
    bringBack: async () => {
      proxy.fault = () => undefined;
    },
    close: () => bucket.close(),
  };
}

/** Of an attempt with many requests to a real server, on a machine that may be busy. */
export async function reportedSlowly({ plane }: Fixture, attempt: string): Promise<Report> {
  await expect.poll(() => plane.reportOf(attempt), { timeout: 90_000, interval: 20 }).toBeDefined();
  return plane.reportOf(attempt) as Report;
}
