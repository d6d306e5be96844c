/** What a dev chain keeps when it is killed or stopped, and what it refuses to start on. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { LotusChain } from '../../src/chain/lotus-chain.ts';
import { runDevnet } from '../../src/devnet/run-devnet.ts';
import { MinerId } from '../../src/schema/ids.ts';
import { bench, MINER, preCommitted, preCommitWant, proveWant, send } from './harness.ts';

let dataDir: string;
const children: ChildProcess[] = [];
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'sealpool-devnet-'));
});
afterEach(async () => {
  for (const child of children.splice(0)) await kill(child);
  await rm(dataDir, { recursive: true, force: true });
});

async function start(options: Record<string, unknown>): Promise<{ child: ChildProcess; url: string; chain: LotusChain }> {
  const script = fileURLToPath(new URL('./chain-process.ts', import.meta.url));
  const child = spawn(process.execPath, [script, JSON.stringify({ dataDir, port: 0, acceptReplay: true, ...options })], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
    const { url, tokenFile } = JSON.parse(line) as { url: string; tokenFile: string };
    const token = (await readFile(tokenFile, 'utf8')).trim();
    return { child, url, chain: new LotusChain({ url: `${url}/rpc/v1`, token }) };
  }
  throw new Error('the chain ended before it was ready');
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

test('killed at any moment: what was pushed lands once', { timeout: 60_000 }, async () => {
  const pushed: string[] = [];
  let lastEpoch = 0;
  for (let round = 0; round < 6; round++) {
    const { child, chain } = await start({ epochMs: 5 });
    const { epoch } = await chain.head();
    // A head that was answered is never taken back.
    expect(epoch).toBeGreaterThanOrEqual(lastEpoch);
    const ticket = await chain.ticket(MINER);
    const message = await chain.sign(preCommitWant(round, ticket.epoch), 0);
    await chain.push(message);
    pushed.push(message.cid);
    lastEpoch = (await chain.head()).epoch;
    await kill(child);
    await chain.close();
  }
  const { url, chain } = await start({ epochMs: 5 });
  await vi.waitFor(async () => {
    for (const [number, cid] of pushed.entries())
      expect(await chain.message(cid, { number })).toMatchObject({ state: 'landed', exitCode: 0 });
  }, 10_000);
  const lines = (await (await fetch(`${url}/messages`)).text())
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(lines.map((line) => line.cid)).toEqual(pushed);
  expect(lines.map((line) => line.nonce)).toEqual([0, 1, 2, 3, 4, 5]);
  await chain.close();
});

test('killed with a message in a tipset and not executed: it is kept, and executed by the next epoch', async () => {
  const advance = async (url: string): Promise<void> => {
    const authorization = `Bearer ${(await readFile(join(dataDir, 'devnet.token'), 'utf8')).trim()}`;
    const answer = await fetch(`${url}/control`, { method: 'POST', headers: { authorization }, body: '{"advance":1}' });
    expect(answer.status).toBe(200);
  };
  const first = await start({ paused: true });
  const message = await first.chain.sign(preCommitWant(7, (await first.chain.ticket(MINER)).epoch), 0);
  await first.chain.push(message);
  await advance(first.url);
  const { epoch } = await first.chain.head();
  await kill(first.child);
  await first.chain.close();
  const second = await start({ paused: true });
  expect(await second.chain.head()).toEqual({ epoch });
  expect(await second.chain.pendingMessages(message.sender)).toEqual([]);
  expect(await second.chain.message(message.cid, { number: 7 })).toEqual({ state: 'pending' });
  await advance(second.url);
  expect(await second.chain.message(message.cid, { number: 7 })).toMatchObject({ state: 'landed', exitCode: 0, epoch: epoch + 1 });
  expect(await second.chain.preCommit(MINER, 7)).toMatchObject({ epoch });
  await second.chain.close();
});

test('the clock stands still while the chain is down', async () => {
  const { child, chain } = await start({ epochMs: 5 });
  const { epoch: seen } = await chain.head();
  await vi.waitFor(async () => expect((await chain.head()).epoch).toBeGreaterThan(seen));
  await chain.close();
  await kill(child);
  const db = new Database(join(dataDir, 'devnet.sqlite'), { readonly: true });
  const kept = Number((db.prepare("SELECT value FROM meta WHERE key = 'epoch'").get() as { value: string }).value);
  db.close();
  // Far more than 5 ms have passed when it is asked again.
  const b = await bench({ dataDir, paused: true });
  expect(await b.chain.head()).toEqual({ epoch: kept });
  await b.stop();
});

test('stopped and started: same epoch, same keys, same randomness, same challenge delay', async () => {
  const first = await bench({ dataDir, challengeDelayEpochs: 7 });
  await first.control({ advance: 41, fixRandomness: { seed: 'cd'.repeat(32) } });
  const before = [await first.chain.head(), await first.chain.sender(MINER), await first.chain.ticket(MINER), await first.chain.network()];
  await first.stop();
  const second = await bench({ dataDir, challengeDelayEpochs: 99 });
  expect([
    await second.chain.head(),
    await second.chain.sender(MINER),
    await second.chain.ticket(MINER),
    await second.chain.network(),
  ]).toEqual(before);
  await second.stop();
});

test('a miner added to the configuration is there after a restart, the others stay as they were', async () => {
  const first = await bench({ dataDir });
  const sender = await first.chain.sender(MINER);
  await first.stop();
  const miners = [
    { id: 1000, sectorSizeBytes: 2048 },
    { id: 1001, sectorSizeBytes: 8 * 2 ** 20 },
  ];
  const second = await bench({ dataDir, miners });
  expect(await second.chain.sender(MINER)).toBe(sender);
  expect(await second.chain.minerInfo(MinerId.parse('t01001'))).toMatchObject({ SectorSize: 8 * 2 ** 20 });
  await second.stop();
});

test('a running clock makes epochs of the chosen length; paused it stands', async () => {
  const b = await bench({ dataDir, epochMs: 5, paused: false });
  const { epoch } = await b.chain.head();
  await vi.waitFor(async () => expect((await b.chain.head()).epoch).toBeGreaterThan(epoch + 3));
  const { epoch: stood } = await b.control({ pause: true });
  await b.control({ epochMs: 1 });
  expect((await b.chain.head()).epoch).toBeLessThanOrEqual(stood + 1);
  await b.stop();
});

test('a second chain on the folder, a taken port, a newer database: each refused with a sentence', async () => {
  const b = await bench({ dataDir });
  await expect(runDevnet({ dataDir, port: 0 })).rejects.toThrow(/another dev chain holds/);
  const port = Number(new URL(b.devnet.url).port);
  const other = await mkdtemp(join(tmpdir(), 'sealpool-devnet-'));
  await expect(runDevnet({ dataDir: other, port })).rejects.toThrow(new RegExp(`port ${port} is in use`));
  await b.stop();
  const db = new Database(join(dataDir, 'devnet.sqlite'));
  db.pragma('user_version = 99');
  db.close();
  await expect(runDevnet({ dataDir, port: 0 })).rejects.toThrow(/newer version/);
  await rm(other, { recursive: true });
});

test('a proof nobody can verify is no refusal: the message waits for a prover', async () => {
  const first = await bench({ dataDir });
  const { proof } = await preCommitted(first, 7);
  // Accepted by the estimate of a chain that can judge it, left over to one that cannot.
  const cid = await send(first, proveWant(7, proof));
  await first.stop();
  const log: string[] = [];
  const second = await bench({ dataDir, acceptReplay: false, log: (line) => log.push(line) });
  await second.control({ advance: 5 });
  expect(await second.chain.message(cid, { number: 7 })).toEqual({ state: 'pending' });
  expect(log.join('\n')).toMatch(/stays pending.*started without a prover/);
  await second.stop();
  const third = await bench({ dataDir });
  await third.control({ advance: 2 });
  expect(await third.chain.message(cid, { number: 7 })).toMatchObject({ state: 'landed', exitCode: 0 });
  await third.stop();
});
