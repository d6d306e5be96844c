/** A command that lacks something says in one sentence what, and how to get it. */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';

const script = join(import.meta.dirname, '../../scripts/require.sh');

/** Runs the check on a machine that has nothing but `programs` (name → what it prints). */
function requireOn(programs: Readonly<Record<string, string>>, ...needs: string[]): { code: number | null; said: string } {
  const bin = mkdtempSync(join(tmpdir(), 'sealpool-require-'));
  onTestFinished(() => rmSync(bin, { recursive: true }));
  symlinkSync('/bin/sed', join(bin, 'sed'));
  for (const [name, prints] of Object.entries(programs)) {
    writeFileSync(join(bin, name), `#!/bin/sh\necho '${prints}'\n`);
    chmodSync(join(bin, name), 0o755);
  }
  const { status, stderr } = spawnSync('/bin/sh', [script, ...needs], { env: { PATH: bin, HOME: bin }, encoding: 'utf8' });
  return { code: status, said: stderr.trim() };
}

test.each([
  [{}, 'node', 'Node.js is missing; install'],
  [{ node: '18' }, 'node', 'is too old; install Node 20'],
  [{ node: '20' }, 'node', 'npm is missing; install'],
  [{}, 'cargo', 'cargo is missing; install'],
  [{ cargo: 'cargo 1.70.0 (ec8a8a0ca 2023-04-25)' }, 'cargo', 'is too old; install Rust 1.88'],
  [{}, 'cc', 'a C compiler is missing; install'],
])('with %o, %s is asked for', (programs, need, sentence) => {
  const { code, said } = requireOn(programs, need);
  expect(code).toBe(1);
  expect(said).toContain(sentence);
  expect(said.split('\n')).toHaveLength(1);
});

test('a machine that has everything passes in silence', () => {
  const programs = { node: '20', npm: '10.9.9', cargo: 'cargo 1.96.0 (30a34c682 2026-05-25)', cc: '' };
  expect(requireOn(programs, 'node', 'cargo', 'cc')).toEqual({ code: 0, said: '' });
});
