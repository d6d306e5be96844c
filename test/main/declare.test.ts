/** The command that is told of stored files, and what the configuration refuses. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { Declaration } from '../../src/effects/declare.ts';
import { declareByCommand } from '../../src/main/declare-command.ts';
import { openDeclare } from '../../src/main/declare.ts';
import { loadConfig } from '../../src/main/config.ts';
import { effectId, MINER } from '../store/rows.ts';

const declaration: Declaration = {
  id: effectId(1),
  miner: MINER,
  number: 7,
  sectorSizeBytes: 2048,
  storage: 'main',
  root: '/mnt/main',
  storeId: null,
  files: ['sealed/s-t01000-7'],
  dropped: null,
};
const sh = (script: string, timeoutMs = 20_000) =>
  declareByCommand(['/bin/sh', '-c', script], timeoutMs, { ...process.env, SECRET_KEY: 'canary' });

test('it gets the declaration as JSON and no more of our environment than it needs', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'declare-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  await sh(`cat > ${dir}/in; env > ${dir}/env`)(declaration);
  expect(JSON.parse(readFileSync(join(dir, 'in'), 'utf8'))).toEqual(declaration);
  expect(readFileSync(join(dir, 'env'), 'utf8')).not.toContain('canary');
});

test.each([
  ['exit 3', 'ended with code 3'],
  ['echo first >&2; echo not indexed yet >&2; exit 1', 'ended with code 1: not indexed yet'],
  ['kill -9 $$', 'was ended by SIGKILL'],
])('what ends badly is told and run again: %s', async (script, how) => {
  await expect(sh(script)(declaration)).rejects.toMatchObject({ kind: 'unavailable', message: expect.stringContaining(how) });
});

test('one that hangs is killed with what it started', async () => {
  await expect(sh('sleep 600 & wait', 100)(declaration)).rejects.toThrow('took longer than 100 ms');
});

test('a program that is not there is told', async () => {
  await expect(declareByCommand(['/nowhere/declare'], 1_000, {})(declaration)).rejects.toThrow('cannot be run');
});

test.each([
  [{ 'storage.declare': 'damocles' }, 'damocles-manager takes stored files'],
  [{ 'storage.declare': 'command' }, 'storage.command is not set'],
  [{ 'storage.declare': 'lotus' }, 'set storage.lotus.url'],
])('what is missing is told at the start: %j', (flags, why) => {
  expect(() => openDeclare(loadConfig({ flags, env: {} }))).toThrow(why);
});

test('nobody is told unless it is configured', () => {
  expect(openDeclare(loadConfig({ env: {} })).declare).toBeUndefined();
});
