/** Persist into a bucket of a real server, in a process of its own that is killed at its requests: never is there half a file, or a wrong one, under a final key. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { bytesOf } from '../objects/conformance.ts';
import { FaultyProxy } from '../objects/faulty-proxy.ts';
import { LEAST_PART_BYTES, type S3Server, startSeaweedfs } from '../objects/s3-servers.ts';
import { type Place, bucketPlace } from './storage-place.ts';

const PROGRAM = join(import.meta.dirname, 'bucket-persisting.ts');
const files = { sealed: bytesOf('sealed', LEAST_PART_BYTES + 99), 'cache/p_aux': bytesOf('p_aux', 64) };
const after: Record<string, Buffer> = {
  'sealed/s-t01000-7': files.sealed,
  'cache/s-t01000-7/p_aux': files['cache/p_aux'],
  'cache/s-t01000-7/sector.json': Buffer.from('{\n  "version": 2\n}\n'),
};
const before: Record<string, Buffer> = Object.fromEntries(Object.keys(after).map((path) => [path, Buffer.from(`the old ${path}`)]));

/** Over what is in the bucket before: nothing, or the sector's older files. */
export const IN_BUCKET: readonly (readonly [string, Readonly<Record<string, Buffer>>])[] = [
  ['into an empty bucket', {}],
  ['over a sector that is there', before],
];

type World = { readonly server: S3Server; readonly proxy: FaultyProxy; readonly work: string };

async function openWorld(): Promise<World> {
  const server = await startSeaweedfs();
  const proxy = await FaultyProxy.start(server.endpoint);
  const work = await mkdtemp(join(tmpdir(), 'bucket-kill-'));
  onTestFinished(async () => {
    await proxy.close();
    await server.close();
    await rm(work, { recursive: true, force: true });
  });
  for (const [name, bytes] of Object.entries(files)) {
    await mkdir(dirname(join(work, 'in', name)), { recursive: true });
    await writeFile(join(work, 'in', name), bytes);
  }
  return { server, proxy, work };
}

/**
 * Stores once. `step`: the process is killed as this request of it comes, which never arrives (odd) or goes on to the server as far as it
 * was sent (even); 0: none is.
 */
async function run({ proxy, work }: World, prefix: string, step: number): Promise<{ killed: boolean; requests: number }> {
  proxy.reset();
  const child = spawn(process.execPath, [PROGRAM, proxy.url, prefix, work], { stdio: ['ignore', 'ignore', 'pipe'] });
  proxy.fault = () => {
    if (proxy.passed.length + 1 !== step) return undefined;
    child.kill('SIGKILL');
    return step % 2 === 1 ? { kind: 'status', status: 503 } : undefined;
  };
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve) => child.once('close', (...ended) => resolve(ended)));
  if (code !== 0 && signal !== 'SIGKILL') throw new Error(said);
  return { killed: signal === 'SIGKILL', requests: proxy.passed.length };
}

async function contents(place: Place): Promise<Record<string, Buffer | undefined>> {
  // A probe of the endpoint is no file of anybody's.
  const names = (await place.names()).filter((name) => !name.startsWith('probes/'));
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await place.get(name)] as const)));
}

/** Kills it at each `every`th request from the last one down, looks at what is left, and every second time stores anew over it. */
export async function killEachRequest(there: Readonly<Record<string, Buffer>>, every: number): Promise<void> {
  const world = await openWorld();
  const fresh = async (): Promise<{ prefix: string; place: Place }> => {
    const prefix = `${randomBytes(6).toString('hex')}/`;
    const place = bucketPlace(world.server, world.proxy, prefix);
    for (const [path, bytes] of Object.entries(there)) await place.put(path, bytes);
    return { prefix, place };
  };
  const whole = await fresh();
  const { requests } = await run(world, whole.prefix, 0);
  expect(requests).toBeGreaterThan(20);
  expect(await contents(whole.place)).toEqual(after);
  let killed = 0;
  for (let step = requests; step > 0; step -= every) {
    const { prefix, place } = await fresh();
    expect(await run(world, prefix, step)).toMatchObject({ killed: true });
    killed += 1;
    const found = await contents(place);
    for (const [path, bytes] of Object.entries(found))
      expect(
        bytes?.equals(after[path] as Buffer) || bytes?.equals(there[path] ?? Buffer.alloc(0)),
        `${path} is whole, killed at ${step}`,
      ).toBe(true);
    for (const path of Object.keys(there)) expect(found[path], `${path} is there, killed at ${step}`).toBeDefined();
    if (killed % 2 === 1) {
      await run(world, prefix, 0);
      expect(await contents(place)).toEqual(after);
      expect(await place.drafts(), `nothing is left of the one that was killed at ${step}`).toEqual([]);
    }
    place.close();
  }
  whole.place.close();
}
