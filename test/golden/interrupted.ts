/** An upgrade that is cut off: a process killed at its N-th call on the database file, and what stands there then. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { expect } from 'vitest';
import { MIGRATIONS } from '../../src/store/migrations.gen.ts';
import { openNodeStore } from '../../src/store/node.ts';
import { wholeDatabase } from '../faults/faulty-serve.ts';
import { readHistory } from './history.ts';

const WRITER = join(import.meta.dirname, '../store/child/writer.ts');
/** SQLite changes its files by these alone. */
const CALLS = 'pwrite64,fsync,fdatasync,ftruncate,unlink';

/** The first version's database, as a control plane leaves it. */
export function oldDatabase(path: string): void {
  const database = new Database(path);
  database.pragma('journal_mode = WAL');
  database.exec(readHistory('0000-first').sql);
  database.close();
}

/** Names of the migrations applied, and the jobs and events as the old version wrote them. */
export function standing(path: string): { migrations: string[]; schema: unknown[]; rows: unknown[] } {
  const database = new Database(path, { readonly: true });
  try {
    return {
      migrations: database.prepare('select name from migrations order by position').pluck().all() as string[],
      schema: database.prepare('select type, name, sql from sqlite_master order by name').all(),
      rows: [database.prepare('select * from jobs order by seq').all(), database.prepare('select * from events order by seq').all()],
    };
  } finally {
    database.close();
  }
}

/** Upgrades a copy and kills the process at its N-th call; answers whether it came so far. What stands is old or new, and opens. */
export function killedAt(n: number): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'sealpool-upgrade-'));
  try {
    const path = join(folder, 'a.db');
    oldDatabase(path);
    const old = standing(path);
    const inject = ['-e', `trace=${CALLS}`, '-e', `inject=${CALLS}:signal=SIGKILL:when=${n}`];
    const files = ['', '-wal', '-shm'].flatMap((ending) => ['-P', path + ending]);
    const args = ['-f', '-o', join(folder, 'trace'), ...files, ...inject, process.execPath, WRITER, path, '0', 'one-by-one'];
    const { signal, status, stderr } = spawnSync('strace', args, { input: '', encoding: 'utf8' });
    const killed = signal === 'SIGKILL';
    if (!killed) expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const { migrations, schema, rows } = standing(path);
    const names = MIGRATIONS.map(({ name }) => name);
    expect([old.migrations, names], `killed at call ${n}`).toContainEqual(migrations);
    if (migrations.length === old.migrations.length) expect({ schema, rows }).toEqual({ schema: old.schema, rows: old.rows });
    // With the columns that came since.
    else expect(rows).toMatchObject(old.rows);
    openNodeStore({ path, onFatal: (error) => expect.fail(error.message) }).close();
    expect(standing(path)).toMatchObject({ migrations: names, rows: old.rows });
    wholeDatabase(path);
    return killed;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
