/**
 * A real `sealpool serve` whose system calls on its database fail on demand (strace -e inject), a short run of API
 * writes against it, and what a restart without faults must find.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { expect } from 'vitest';
import { createClient } from '../../src/api/client.ts';
import { planTables } from '../../src/scheduler/plans/all.ts';
import { Daemon } from '../e2e/processes.ts';
import { HistoryOracle } from '../sim/oracle-history.ts';
import { Reader } from '../sim/reader.ts';
import { Writes } from './writes.ts';

export const hasStrace = spawnSync('strace', ['-V']).status === 0;
if (!hasStrace) console.warn('strace is not installed: no fault is injected into a running control plane');

/** No chain answers: what wants one waits, and writes are the API's own. */
export const ENVIRONMENT = { SEALPOOL_CHAIN_URL: 'http://127.0.0.1:1/rpc/v1', SEALPOOL_LOG_LEVEL: 'warn' };

/** `when` as strace reads it: `7` the seventh call, `7..9` three of them, `7+` all from there on. */
export type Fault = { readonly calls: string; readonly error: string; readonly when: string };

/** A folder with the database of an earlier run that ended in order, to be copied for each fault. */
export async function preparedFolder(folder: string): Promise<string> {
  const data = join(folder, 'prepared');
  const daemon = new Daemon(['serve', '--data', data], ENVIRONMENT, join(folder, 'prepared.log'));
  await daemon.start();
  expect(await daemon.end('SIGTERM')).toBe(0);
  return data;
}

export type Played = {
  readonly writes: Writes;
  /** Exit code where it ended by itself or, when asked to, not in order. */
  readonly endedWith: number | string | null | undefined;
  readonly started: boolean;
  /** Traced calls on the database in their order: `-wal` or nothing for the file, whether it failed, whether the API served. */
  readonly calls: readonly { readonly file: string; readonly injected: boolean; readonly serving: boolean }[];
  readonly log: string;
};

/** Starts the control plane on a copy of `prepared` with the fault, sends the writes, asks it to end. */
export async function playWrites(folder: string, prepared: string, fault: Fault): Promise<Played & { readonly data: string }> {
  mkdirSync(folder, { recursive: true });
  const data = join(folder, 'data');
  cpSync(prepared, data, { recursive: true });
  const [log, trace] = [join(folder, 'serve.log'), join(folder, 'trace')];
  const database = join(data, 'sealpool.sqlite');
  const inject = ['-e', `trace=${fault.calls}`, '-e', `inject=${fault.calls}:error=${fault.error}:when=${fault.when}`];
  // -D: strace stands aside, the control plane is our child and ends with its own exit code.
  const strace = ['strace', '-D', '-f', '-y', '-s', '0', '-o', trace, '-P', database, '-P', `${database}-wal`, ...inject];
  const daemon = new Daemon(['serve', '--data', data], ENVIRONMENT, log, strace);
  let writes = new Writes(createClient({ baseUrl: 'http://127.0.0.1:1' }));
  let started = false;
  let endedWith: Played['endedWith'];
  let callsAtReady = 0;
  const lines = (): string[] => (existsSync(trace) ? readFileSync(trace, 'utf8').split('\n') : []).filter((line) => line.includes(') ='));
  try {
    const { url, tokenFile } = await daemon.start();
    started = true;
    callsAtReady = lines().length;
    writes = new Writes(createClient({ baseUrl: url, token: readFileSync(tokenFile, 'utf8').trim() }));
    const all = await writes.send();
    if (!all) endedWith = await daemon.ended();
    else if ((await daemon.end('SIGTERM')) !== 0) endedWith = await daemon.ended();
  } catch (error) {
    if (started) throw error;
    endedWith = await daemon.ended();
  } finally {
    await daemon.end('SIGKILL');
  }
  const calls = lines().map((line, at) => ({
    file: /<([^>]+)>/.exec(line)?.[1]?.slice(database.length) ?? '',
    injected: line.includes('(INJECTED)'),
    serving: at >= callsAtReady,
  }));
  return { writes, endedWith, started, calls, log: readFileSync(log, 'utf8'), data };
}

/** Starts it again without faults: everything answered is there, nothing half, and the file is whole. */
export async function restartFinds({ writes, data }: { readonly writes: Writes; readonly data: string }): Promise<void> {
  const daemon = new Daemon(['serve', '--data', data], ENVIRONMENT, join(data, '../again.log'));
  const { url, tokenFile } = await daemon.start();
  try {
    await writes.found(createClient({ baseUrl: url, token: readFileSync(tokenFile, 'utf8').trim() }));
  } finally {
    await daemon.end('SIGTERM');
  }
  wholeDatabase(join(data, 'sealpool.sqlite'));
}

/** SQLite's own check, foreign keys, and that the events of each job fold to its row. */
export function wholeDatabase(path: string): void {
  const client = new Database(path, { readonly: true });
  expect(client.pragma('integrity_check', { simple: true })).toBe('ok');
  expect(client.pragma('foreign_key_check')).toEqual([]);
  client.close();
  const broken: string[] = [];
  const reader = new Reader(path);
  new HistoryOracle(planTables(), (promise, what) => broken.push(`${promise}: ${what}`)).look(reader);
  reader.close();
  expect(broken).toEqual([]);
}
