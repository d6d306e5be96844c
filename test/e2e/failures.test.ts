/** What goes wrong outside: ports, databases, disks, settings. A clear sentence, a non-zero exit, nothing lost. */
import { execFileSync, spawnSync } from 'node:child_process';
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { Daemon, Deployment, ENTRY, cleanEnvironment } from './processes.ts';

let folder: string;
const ended: Deployment[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sealpool-failures-'));
});
afterEach(async () => {
  for (const deployment of ended.splice(0)) await deployment.end();
  // A test's disk goes before its mount point.
  spawnSync('umount', ['-l', join(folder, 'disk')]);
  rmSync(folder, { recursive: true, force: true });
});

const NO_CHAIN = { SEALPOOL_CHAIN_URL: 'http://127.0.0.1:1/rpc/v1' };
/** Runs a command that is expected to end by itself. */
function sealpool(args: string[], env: Record<string, string> = {}) {
  const { status, stderr, stdout } = spawnSync(process.execPath, ['--disable-warning=ExperimentalWarning', ENTRY, ...args], {
    env: { ...cleanEnvironment(), ...env },
    encoding: 'utf8',
    timeout: 60_000,
  });
  return { status, stderr, stdout };
}

test.each(['serve', 'devnet', 'runner'])('%s on a port in use says so and ends with an error', { timeout: 60_000 }, async (command) => {
  const taken = createServer().listen(0, '127.0.0.1');
  onTestFinished(() => void taken.close());
  await new Promise((resolve) => taken.once('listening', resolve));
  const { port } = taken.address() as { port: number };
  const more = command === 'runner' ? ['--url', 'http://127.0.0.1:1'] : [];
  const { status, stderr, stdout } = sealpool([command, '--data', folder, '--port', String(port), ...more], NO_CHAIN);
  expect(stderr).toMatch(new RegExp(`port ${port} .*is in use; stop what listens there, or give`));
  expect(status).toBe(1);
  expect(stdout).toBe('');
});

test('a second control plane on the same data folder is refused, the first goes on', { timeout: 60_000 }, async () => {
  const first = new Daemon(['serve', '--data', folder], NO_CHAIN, join(folder, 'log'));
  onTestFinished(async () => void (await first.end('SIGKILL')));
  const { url } = await first.start();
  const { status, stderr } = sealpool(['serve', '--data', folder, '--port', '0'], NO_CHAIN);
  expect(status).toBe(1);
  expect(stderr).toMatch(/another control plane is running on .*; stop it first/);
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
  expect(await first.end('SIGTERM')).toBe(0);
});

test('a database made by a newer version is refused and left as it was', { timeout: 60_000 }, async () => {
  const first = new Daemon(['serve', '--data', folder], NO_CHAIN, join(folder, 'log'));
  onTestFinished(async () => void (await first.end('SIGKILL')));
  await first.start();
  expect(await first.end('SIGTERM')).toBe(0);
  const path = join(folder, 'sealpool.sqlite');
  const database = new Database(path);
  const [table] = database
    .prepare("select name from sqlite_master where type = 'table' and name like '%migrations%'")
    .pluck()
    .all() as string[];
  const columns = database.pragma(`table_info(${table})`) as { name: string; type: string }[];
  const values = columns.map(({ name, type }) => (name === 'name' ? "'9999_later'" : type.toLowerCase() === 'text' ? "'x'" : '9999'));
  database.exec(`insert into ${table} (${columns.map(({ name }) => name).join(', ')}) values (${values.join(', ')})`);
  const before = database.prepare('select count(*) from sqlite_master').pluck().get();
  database.close();
  const { status, stderr } = sealpool(['serve', '--data', folder, '--port', '0'], NO_CHAIN);
  expect(status).toBe(1);
  expect(stderr).toMatch(/9999_later, which this version of Sealpool does not know/);
  const after = new Database(path, { readonly: true });
  expect(after.prepare('select count(*) from sqlite_master').pluck().get()).toBe(before);
  after.close();
});

test('a setting that is not known names the nearest one; a stage that is not known names those there are', () => {
  writeFileSync(join(folder, 'sealpool.toml'), 'prot = 5230\n');
  expect(sealpool(['serve', '--data', folder])).toMatchObject({
    status: 1,
    stderr: expect.stringMatching(/prot in .* is no key of the configuration; did you mean port\?/),
  });
  rmSync(join(folder, 'sealpool.toml'));
  const stage = sealpool(['runner', '--data', folder, '--url', 'http://127.0.0.1:1'], { SEALPOOL_RUNNER_STAGES: '["PC9"]' });
  expect(stage).toMatchObject({ status: 78, stderr: expect.stringMatching(/SEALPOOL_RUNNER_STAGES.*"AddPiece"\|.*"Verify"/) });
  expect(sealpool(['serve', '--data', folder])).toMatchObject({
    status: 1,
    stderr: expect.stringMatching(/no chain node is configured; set chain\.url/),
  });
});

const canMount = spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0;

test.runIf(canMount)(
  'a full disk in the middle of a seal: 503 for what needs space, and with space again the sector finishes',
  { timeout: 180_000 },
  async () => {
    const disk = join(folder, 'disk');
    mkdirSync(disk);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=40m', 'tmpfs', disk]);
    const deployment = await Deployment.start({ dataDir: join(disk, 'data') });
    ended.push(deployment);
    await deployment.addRunner('one');
    const [job] = await deployment.pledge();
    await deployment.until(job as string, ({ job: { state } }) => state !== 'Empty');
    const filler = join(disk, 'filler');
    const fill = (): void => {
      for (let bytes = 2 ** 20; bytes >= 512; bytes /= 2) {
        try {
          for (;;) appendFileSync(filler, Buffer.alloc(bytes, 1));
        } catch (error) {
          expect((error as NodeJS.ErrnoException).code).toBe('ENOSPC');
        }
      }
    };
    fill();
    await expect(deployment.client.addPiece('t01000', new Uint8Array(2032))).rejects.toMatchObject({
      problem: { status: 503, code: 'storage_full' },
    });
    // Requests that change something are refused one by one once the log of the database has no room left.
    const refused = async (): Promise<boolean> =>
      deployment.client.pledge({ plan: 'sealer', miner: 't01000' as never, count: 1_000 }).then(
        () => false,
        (error: { problem?: { code: string } }) => error.problem?.code === 'storage_full',
      );
    while (!(await refused())) fill();
    expect((await fetch(`${deployment.url}/healthz`)).status).toBe(200);
    rmSync(filler);
    await deployment.finished(job as string, 120_000);
  },
);
