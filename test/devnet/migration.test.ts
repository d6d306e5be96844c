/** A data folder of an older version opens: `ledger-version-1.sql` is what version 1 wrote. */
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Ledger } from '../../src/devnet/ledger.ts';
import { SCHEMA_STEPS } from '../../src/devnet/ledger-schema.ts';
import { type Bench, bench, MINER, preCommitWant, pushUnchecked, raw, send, updateWant } from './harness.ts';
import { updatingParams } from './update-params.ts';

let dataDir: string;
let b: Bench;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'sealpool-devnet-'));
  const db = new Database(join(dataDir, 'devnet.sqlite'));
  db.exec(await readFile(new URL('./ledger-version-1.sql', import.meta.url), 'utf8'));
  db.close();
  b = await bench({ dataDir });
});
afterEach(() => b.end());

test('sectors, pre-commits, messages and epoch are there as they were', async () => {
  expect((await b.chain.head()).epoch).toBe(5090);
  expect(await b.chain.allocated(MINER, [0, 1, 2, 3, 48, 96])).toEqual([0, 1, 2, 48, 96]);
  expect(await b.chain.sector(MINER, 0)).toMatchObject({ keyCommR: null, deadline: 0, partition: 0, proven: false });
  // Three of them stood at deadline 0 in version 1: two fill a partition.
  expect(await b.chain.sector(MINER, 48)).toMatchObject({ deadline: 0, partition: 0 });
  expect(await b.chain.sector(MINER, 96)).toMatchObject({ deadline: 0, partition: 1 });
  expect(await b.chain.preCommit(MINER, 2)).toMatchObject({ epoch: 5073 });
  expect((await b.messages()).map((line) => [line['method'], line['exitCode']])).toEqual([
    ...Array.from({ length: 4 }, () => [
      [28, 0],
      [34, 0],
    ]).flat(),
    [28, 0],
  ]);
});

test('its CC sectors are proven in the next window and can be upgraded, its sector with data cannot', async () => {
  await b.control({ advance: 97 });
  expect(await raw(b, 'StateMinerPartitions', [MINER, 0, []])).toMatchObject([
    { AllSectors: [0, 1, 47, 1], ActiveSectors: [0, 1, 47, 1] },
    { AllSectors: [96, 1], ActiveSectors: [96, 1] },
  ]);
  const params = await updatingParams(b, [updateWant(1)], { requireActivationSuccess: true });
  expect(await pushUnchecked(b, { method: 35, params, value: 0n })).toMatchObject({
    exitCode: 16,
    reason: expect.stringMatching(/non-zero data/),
  });
  await send(b, updateWant(0));
  await b.control({ advance: 2 });
  expect((await b.chain.sector(MINER, 0))?.keyCommR).not.toBeNull();
});

test('version 2: its head had been executed; what waited then lands', async () => {
  const waiting = await b.chain.sign(preCommitWant(500, (await b.chain.ticket(MINER)).epoch), 0);
  await b.stop();
  await rm(dataDir, { recursive: true });
  await mkdir(dataDir);
  const db = new Database(join(dataDir, 'devnet.sqlite'));
  db.exec(await readFile(new URL('./ledger-version-1.sql', import.meta.url), 'utf8'));
  db.exec(`${SCHEMA_STEPS[1]} PRAGMA user_version = 2`);
  const { Message: message } = JSON.parse(waiting.signed) as { Message: { Nonce: number } };
  db.prepare("INSERT INTO messages (cid, unsigned_cid, sender, nonce, signed, state) VALUES (?, ?, ?, ?, ?, 'pending')").run(
    waiting.cid,
    `unsigned ${waiting.cid}`,
    waiting.sender,
    message.Nonce,
    waiting.signed,
  );
  const landed = db.prepare("SELECT cid, epoch FROM messages WHERE state = 'landed' ORDER BY seq DESC").get() as {
    cid: string;
    epoch: number;
  };
  db.close();
  b = await bench({ dataDir });
  expect((await b.chain.head()).epoch).toBe(5090);
  expect(await b.chain.message(landed.cid, { number: 0 })).toMatchObject({ state: 'landed', epoch: landed.epoch + 1 });
  expect(await b.chain.message(waiting.cid, { number: 500 })).toEqual({ state: 'pending' });
  await b.control({ advance: 2 });
  expect(await b.chain.message(waiting.cid, { number: 500 })).toMatchObject({ state: 'landed', exitCode: 0, epoch: 5092 });
});

test('migrated and new ledgers have the same tables', async () => {
  await b.stop();
  const shape = (ledger: Ledger): unknown => {
    const rows = ledger.db.prepare("SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY type, name").all();
    ledger.close();
    return (rows as { sql: string }[]).map((row) => ({ ...row, sql: row.sql.replaceAll(/\s+/g, ' ') }));
  };
  const migrated = shape(new Ledger(join(dataDir, 'devnet.sqlite')));
  expect(migrated).toEqual(shape(new Ledger(':memory:')));
  b = await bench({ dataDir });
});
