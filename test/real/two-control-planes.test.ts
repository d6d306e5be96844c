/**
 * Two control planes on one database, one of them stopped and continued (SIGSTOP, SIGCONT), as when a machine is
 * suspended and its work started elsewhere. Real: all processes, the kernel's lock, SQLite's locks, the chain's
 * mempool; only C2 is stood in for. What is defined: while the lock is held a second one is refused; where the lock
 * does not reach (its file deleted, a folder shared without locks) the second takes over, and the first, continued,
 * writes nothing and ends.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { expect, onTestFinished, test } from 'vitest';
import { createClient } from '../../src/api/client.ts';
import { HoldingProxy } from '../e2e/holding-proxy.ts';
import { nothingTwice } from '../e2e/killing.ts';
import { Daemon, Deployment, MINER } from '../e2e/processes.ts';
import { ENVIRONMENT, hasStrace, preparedFolder, wholeDatabase } from '../faults/faulty-serve.ts';

const WITHIN_MS = 180_000;

function signal(daemon: Daemon, name: 'SIGSTOP' | 'SIGCONT'): void {
  process.kill(daemon.pid as number, name);
}

/** `T` when it is stopped. */
const stateOf = (daemon: Daemon): string => /^State:\s+(\w)/m.exec(readFileSync(`/proc/${daemon.pid}/status`, 'utf8'))?.[1] ?? '';

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 20));
}

/** Whether a transaction is open in another process. */
function writing(path: string): boolean {
  const client = new Database(path, { timeout: 0 });
  try {
    client.exec('BEGIN IMMEDIATE');
    client.exec('ROLLBACK');
    return false;
  } catch {
    return true;
  } finally {
    client.close();
  }
}

/** Stops it between two of its transactions. */
async function stopIdle(daemon: Daemon, path: string): Promise<void> {
  for (;;) {
    signal(daemon, 'SIGSTOP');
    await until(() => stateOf(daemon) === 'T');
    if (!writing(path)) return;
    signal(daemon, 'SIGCONT');
  }
}

test('a stopped one still holds the lock: the second is refused, the first goes on', { timeout: WITHIN_MS }, async () => {
  const deployment = await Deployment.start();
  onTestFinished(() => deployment.end());
  signal(deployment.controlPlane, 'SIGSTOP');
  await until(() => stateOf(deployment.controlPlane) === 'T');
  const second = deployment.anotherControlPlane();
  onTestFinished(async () => void (await second.end('SIGKILL')));
  await expect(second.start()).rejects.toThrow(/another control plane is running on .*; stop it first/);
  expect(await second.ended()).toBe(1);
  signal(deployment.controlPlane, 'SIGCONT');
  await deployment.addRunner('one');
  const [job] = await deployment.pledge();
  await nothingTwice(deployment, [await deployment.finished(job as string)]);
});

test.each(['while stages run', 'between sign and push'])(
  'the lock is lost, the first is stopped %s: the second seals the sector, the first writes nothing more and ends',
  { timeout: WITHIN_MS },
  async (moment) => {
    const [runners, chain] = [await HoldingProxy.listen(), await HoldingProxy.listen()];
    const deployment = await Deployment.start({
      settings: { SEALPOOL_PUBLIC_URL: runners.url, SEALPOOL_CHAIN_URL: `${chain.url}/rpc/v1` },
    });
    const second = deployment.anotherControlPlane();
    let ended = false;
    onTestFinished(async () => {
      // One that the test left stopped would not end when asked to.
      if (!ended) signal(deployment.controlPlane, 'SIGCONT');
      await second.end('SIGTERM');
      await deployment.end();
      for (const proxy of [runners, chain]) await proxy.close();
    });
    const first = deployment.controlPlane;
    runners.target = deployment.url;
    chain.target = deployment.chainUrl;
    deployment.url = runners.url;
    const path = join(deployment.folder, 'data/sealpool.sqlite');
    const push = moment === 'between sign and push' ? chain.hold(({ body }) => body.includes('MpoolPush"')) : undefined;
    await deployment.addRunner('one');
    const [job = ''] = await deployment.pledge();
    if (push === undefined) await deployment.until(job, ({ job: { state } }) => state === 'TicketAssigned');
    else await push.reached;

    await stopIdle(first, path);
    rmSync(`${path}.lock`);
    runners.target = (await second.start()).listening as string;
    const [later = ''] = await deployment.pledge();
    push?.release();
    signal(first, 'SIGCONT');
    expect(await first.ended()).toBe(1);
    ended = true;
    expect(readFileSync(join(deployment.folder, 'serve.log'), 'utf8')).toMatch(
      /the control plane ends: another control plane took over this database; stop this one/,
    );
    const details = [await deployment.finished(job), await deployment.finished(later)];
    await nothingTwice(deployment, details);
    expect(await second.end('SIGTERM')).toBe(0);
    wholeDatabase(path);
  },
);

test.runIf(hasStrace)(
  'stopped in the middle of a commit it holds the database too: the second is refused, and the commit ends whole',
  { timeout: WITHIN_MS },
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sealpool-two-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const data = await preparedFolder(folder);
    const path = join(data, 'sealpool.sqlite');
    // The log is synced by each commit, and by nothing else before its first checkpoint; a start, however slow, has fewer.
    const syncs = 'fsync,fdatasync';
    const stop = ['-e', `trace=${syncs}`, '-e', `inject=${syncs}:signal=SIGSTOP:when=24`];
    const trace = join(folder, 'trace');
    const strace = ['strace', '-D', '-f', '-o', trace, '-P', `${path}-wal`, ...stop];
    const first = new Daemon(['serve', '--data', data], ENVIRONMENT, join(folder, 'first.log'), strace);
    const second = new Daemon(['serve', '--data', data], ENVIRONMENT, join(folder, 'second.log'));
    onTestFinished(async () => void (await Promise.all([first.end('SIGKILL'), second.end('SIGKILL')])));
    const { url, tokenFile } = await first.start();
    const client = createClient({ baseUrl: url, token: readFileSync(tokenFile, 'utf8').trim() });
    const answers: string[] = [];
    const answering = (async () => {
      for (let at = 0; at < 30; at += 1)
        answers.push(...(await client.pledge({ plan: 'sealer', miner: MINER, count: 1 })).items.map(({ id }) => id));
    })();
    // strace pads short process ids.
    const line = new RegExp(`^${first.pid} +--- stopped by SIGSTOP`, 'm');
    const stopped = until(() => line.test(readFileSync(trace, 'utf8')));
    // Thirty answered pledges without a stop are as wrong as a refused one.
    const early = answering.then(() => Promise.reject(new Error(`it was never stopped:\n${readFileSync(trace, 'utf8').slice(-2_000)}`)));
    await Promise.race([stopped, early]);
    early.catch(() => undefined);
    expect(writing(path)).toBe(true);
    rmSync(`${path}.lock`);
    const answered = answers.length;
    await expect(second.start()).rejects.toThrow(/another program is writing to .*; stop it first/);
    // One reply may have been on its way already; nothing is answered while the commit stands still.
    expect(answers.length).toBeLessThanOrEqual(answered + 1);
    signal(first, 'SIGCONT');
    await answering;
    expect((await client.sectors({ limit: 500 })).items.map(({ id }) => id as string).sort()).toEqual([...answers].sort());
    expect(await first.end('SIGTERM')).toBe(0);
    wholeDatabase(path);
  },
);
