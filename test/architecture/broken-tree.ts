/** A copy of what a checker reads, in a folder of its own, with one file put in on purpose. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';

export const ROOT = join(import.meta.dirname, '../..');

/** Copies `paths` of this project into a fresh folder, adds `files`, and removes all of it after the test. */
export function brokenTree(paths: readonly string[], files: Readonly<Record<string, string>>): string {
  const tree = mkdtempSync(join(tmpdir(), 'sealpool-broken-'));
  onTestFinished(() => rmSync(tree, { recursive: true }));
  for (const path of paths) cpSync(join(ROOT, path), join(tree, path), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(tree, 'node_modules'));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    writeFileSync(join(tree, path), text);
  }
  return tree;
}

/** Runs one of the project's tools in `cwd`: its exit code and everything it printed. */
export function runTool(cwd: string, program: string, ...args: string[]): { code: number; output: string } {
  try {
    const output = execFileSync(process.execPath, [join(ROOT, 'node_modules/.bin', program), ...args], {
      cwd,
      encoding: 'utf8',
      stdio: 'pipe',
    });
    return { code: 0, output };
  } catch (error) {
    const { status, stdout, stderr } = error as { status: number; stdout: string; stderr: string };
    return { code: status, output: stdout + stderr };
  }
}
