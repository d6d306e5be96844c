/**
 * A path of miner storage is emptied while runner and control plane are killed: real processes, real files, the command line. Stood in
 * for: lotus' sector index (test/chain/fake-lotus-storage.ts), and proofs.
 */
import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { initSectorStore } from '../../src/cli/commands/storage-attach.ts';
import { FakeLotusStorage } from '../chain/fake-lotus-storage.ts';
import { lotusComplaints } from '../runners/lotus-layout.ts';
import { Deployment, ENTRY, cleanEnvironment } from './processes.ts';

const STORE = { weight: 10, maxBytes: 0, allowMiners: [], denyMiners: [] };
const run = promisify(execFile);

/** Files with their contents; not what says which path it is. */
async function filesIn(root: string): Promise<Record<string, string>> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile() && entry.name !== 'sectorstore.json')
    .map((entry) => join(entry.parentPath, entry.name));
  return Object.fromEntries(await Promise.all(paths.map(async (path) => [path.slice(root.length + 1), await readFile(path, 'base64')])));
}

test(
  'drain: what was sealed into one path ends in the other, whole and known to lotus, whoever is killed meanwhile',
  { timeout: 240_000 },
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sealpool-drain-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const lotus = await FakeLotusStorage.start();
    writeFileSync(join(folder, 'token'), `${lotus.token}\n`);
    chmodSync(join(folder, 'token'), 0o600);
    const roots = ['main', 'spare'].map((id) => ({ id, path: join(folder, id) }));
    const stores: string[] = [];
    for (const { path } of roots) {
      mkdirSync(path);
      const { ID } = await initSectorStore(path, STORE);
      stores.push(ID);
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
    const sealpool = async (...args: string[]): Promise<string> => {
      const env = { ...cleanEnvironment(), SEALPOOL_URL: world.url, SEALPOOL_TOKEN: world.token };
      return (await run(process.execPath, ['--disable-warning=ExperimentalWarning', ENTRY, ...args], { env })).stdout;
    };
    const list = roots.map(({ id, path }) => `{ id = ${JSON.stringify(id)}, path = ${JSON.stringify(path)} }`);
    const runner = await world.addRunner('one', { environment: { SEALPOOL_RUNNER_STORAGE: `[${list.join(', ')}]` } });
    for (const job of await world.pledge(2)) await world.finished(job);
    const [main = '', spare = ''] = roots.map(({ path }) => path);
    const sealed = await filesIn(main);
    expect(Object.keys(sealed).filter((path) => path.startsWith('sealed/'))).toHaveLength(2);
    expect(await filesIn(spare)).toEqual({});
    const known = (at: number): string[] =>
      [...lotus.declared]
        .filter((one) => one.startsWith(stores[at] as string))
        .map((one) => one.slice(37))
        .toSorted();
    const declared = known(0);
    expect([declared.length, known(1)]).toEqual([4, []]);

    expect(await sealpool('storage', 'drain', 'main')).toMatch(/^main .* drained/m);
    await runner.end('SIGKILL');
    await world.controlPlane.end('SIGKILL');
    await world.controlPlane.start();
    await runner.start();
    const emptied = async (): Promise<number | undefined> =>
      (await world.client.storage().catch(() => undefined))?.items.find(({ id, moving }) => id === 'main' && moving === null)?.sectors;
    await expect.poll(emptied, { timeout: 120_000, interval: 100 }).toBe(0);
    expect([await filesIn(main), await filesIn(spare)]).toEqual([{}, sealed]);
    expect([known(0), known(1), lotus.violations]).toEqual([[], declared, []]);
    expect(await lotusComplaints(spare)).toEqual([]);

    const table = await sealpool('storage', 'list');
    expect(table).toMatch(/^main .* 0 .* drained$/m);
    expect(table).toMatch(/^spare .* 2 .* takes sectors$/m);
    const sector = (await world.client.sectors({})).items[0]?.sector as string;
    expect(await sealpool('storage', 'find', sector)).toMatch(/is in storage spare .*; whoever does Window PoSt sees it/);
    // What is sealed now goes to the other path, until the drained one may take sectors again.
    const [next = ''] = await world.pledge();
    await world.finished(next);
    expect(Object.keys(await filesIn(main))).toEqual([]);
    expect(await sealpool('storage', 'uncordon', 'main')).toMatch(/^main .* takes sectors$/m);
  },
);
