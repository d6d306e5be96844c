/** A deployment with paths of miner storage that a fake lotus knows, and the command line. */
import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { onTestFinished } from 'vitest';
import { initSectorStore } from '../../src/cli/commands/storage-attach.ts';
import { FakeLotusStorage } from '../chain/fake-lotus-storage.ts';
import { Deployment, ENTRY, cleanEnvironment } from './processes.ts';

const STORE = { weight: 10, maxBytes: 0, allowMiners: [], denyMiners: [] };
const run = promisify(execFile);

/** Files with their contents; not what says which path it is. */
export async function filesIn(root: string): Promise<Record<string, string>> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile() && entry.name !== 'sectorstore.json')
    .map((entry) => join(entry.parentPath, entry.name));
  return Object.fromEntries(await Promise.all(paths.map(async (path) => [path.slice(root.length + 1), await readFile(path, 'base64')])));
}

export type StorageWorld = {
  readonly world: Deployment;
  readonly lotus: FakeLotusStorage;
  /** The folder of each path. */
  readonly roots: Readonly<Record<string, string>>;
  /** `runner.storage` with these paths, as the environment has it. */
  environment(...ids: string[]): Record<string, string>;
  sealpool(...args: string[]): Promise<string>;
  /** What lotus knows of a path: its sectors' files. */
  known(id: string): string[];
};

/** All of it ends with the test. */
export async function storageWorld(...ids: string[]): Promise<StorageWorld> {
  const folder = await mkdtemp(join(tmpdir(), 'sealpool-storage-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const lotus = await FakeLotusStorage.start();
  writeFileSync(join(folder, 'token'), `${lotus.token}\n`);
  chmodSync(join(folder, 'token'), 0o600);
  const roots = Object.fromEntries(ids.map((id) => [id, join(folder, id)]));
  const stores = new Map<string, string>();
  for (const [id, path] of Object.entries(roots)) {
    mkdirSync(path);
    const { ID } = await initSectorStore(path, STORE);
    stores.set(id, ID);
    lotus.attached.add(ID);
  }
  const world = await Deployment.start({
    settings: {
      SEALPOOL_STORAGE_DECLARE: 'lotus',
      SEALPOOL_STORAGE_LOTUS_URL: lotus.url,
      SEALPOOL_STORAGE_LOTUS_TOKEN_FILE: join(folder, 'token'),
    },
  });
  onTestFinished(() => world.end());
  return {
    world,
    lotus,
    roots,
    environment(...some) {
      const list = some.map((id) => `{ id = ${JSON.stringify(id)}, path = ${JSON.stringify(roots[id])} }`);
      return { SEALPOOL_RUNNER_STORAGE: `[${list.join(', ')}]` };
    },
    async sealpool(...args) {
      const env = { ...cleanEnvironment(), SEALPOOL_URL: world.url, SEALPOOL_TOKEN: world.token };
      return (await run(process.execPath, ['--disable-warning=ExperimentalWarning', ENTRY, ...args], { env })).stdout;
    },
    known: (id) =>
      [...lotus.declared]
        .filter((one) => one.startsWith(stores.get(id) as string))
        .map((one) => one.slice(37))
        .toSorted(),
  };
}
