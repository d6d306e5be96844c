/**
 * An upgrade that does not come to its end: a statement that fails, a process that is killed. What stands is the old
 * database or the new one, never half, and the next start goes on. Real: SQLite, the migrations, a process killed by
 * SIGKILL upon its N-th write or sync of the file (strace injects the signal); some N are drawn, all stand in test/soak.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { MIGRATIONS } from '../../src/store/migrations.gen.ts';
import { openNodeStore } from '../../src/store/node.ts';
import { hasStrace, wholeDatabase } from '../faults/faulty-serve.ts';
import { drawn } from '../faults/sweep.ts';
import { killedAt, oldDatabase, standing } from './interrupted.ts';

const SEED = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
/** The first calls are opening's, then come those of the migration; there are more in the end. */
const FIRST_CALLS = 60;
const DRAWN = 9;

const fail = (error: Error): void => expect.fail(error.message);
const NEW = MIGRATIONS.slice(1);
const STATEMENTS = NEW.flatMap(({ statements }, file) => statements.map((_, at) => [file, at] as const));

test('a statement that fails, each in turn, leaves the old database; the next start brings all of it forward', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sealpool-upgrade-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'a.db');
  oldDatabase(path);
  const old = standing(path);
  expect(old.migrations).toEqual([MIGRATIONS[0]?.name]);
  expect(STATEMENTS.length).toBeGreaterThan(5);
  for (const [file, at] of STATEMENTS) {
    const migrations = NEW.map(({ name, statements }, index) => ({
      name,
      statements: index === file ? statements.with(at, 'select no_such_function()') : statements,
    }));
    expect(() => openNodeStore({ path, onFatal: fail, migrations: [...MIGRATIONS.slice(0, 1), ...migrations] })).toThrow();
    expect(standing(path)).toEqual(old);
  }
  openNodeStore({ path, onFatal: fail }).close();
  expect(standing(path)).toMatchObject({ migrations: MIGRATIONS.map(({ name }) => name), rows: old.rows });
  wholeDatabase(path);
});

test.runIf(hasStrace)(`a process killed in the middle of the migration, at calls drawn by seed ${SEED}`, { timeout: 120_000 }, () => {
  const killed = drawn(SEED, FIRST_CALLS, DRAWN).filter(killedAt);
  expect(killed).not.toEqual([]);
});
