/** `make demo TOPOLOGY=three` with the replay prover: three runners that reach nothing but the control plane seal a sector. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { HAS_WEED } from '../../scripts/demo/seaweedfs.ts';
import { missingHere } from '../../scripts/demo/namespaces.ts';
import { REPLAY_PROVER, ROOT, cleanEnvironment } from '../e2e/processes.ts';

const here = missingHere() === undefined;
const SOON = { timeout: 60_000, interval: 100 };

function demo(data: string, ...more: string[]): { child: ChildProcess; output: () => string; ended: Promise<number | null> } {
  const args = ['--disable-warning=ExperimentalWarning', 'scripts/demo.ts', '--topology=three', `--prover=${REPLAY_PROVER}`, ...more];
  const child = spawn(process.execPath, args, {
    cwd: ROOT,
    env: { ...cleanEnvironment(), SEALPOOL_DATA: data },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => (text += chunk.toString()));
  return { child, output: () => text, ended: new Promise((resolve) => child.once('close', resolve)) };
}

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'sealpool-three-'));
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

/** Processes whose command line or environment names the folder. */
function processesOf(data: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid) || pid === String(process.pid)) return false;
    try {
      return [`/proc/${pid}/cmdline`, `/proc/${pid}/environ`].some((file) => readFileSync(file, 'latin1').includes(data));
    } catch {
      return false;
    }
  });
}

test.runIf(here)('the sector is Finished, every try from one machine to another fails, and nothing is left', async () => {
  const data = folder();
  const { output, ended } = demo(data);
  expect(await ended, output()).toBe(0);
  expect(output().match(/→ control plane: connected/g)).toHaveLength(3);
  expect(output().match(/→ (pc1|gpu|storage)-box .*: no answer/g)).toHaveLength(6);
  expect(output().match(/listens where others could reach it: nothing/g)).toHaveLength(3);
  expect(output()).toMatch(/Sector s-t01000-0 is Finished/);
  expect(processesOf(data)).toEqual([]);
});

test.runIf(here && HAS_WEED)('over S3: the runners reach its endpoint and nothing else of it, and none of them has the key', async () => {
  const data = folder();
  const { output, ended } = demo(data, '--store=s3');
  expect(await ended, output()).toBe(0);
  expect(output().match(/→ control plane: connected/g)).toHaveLength(3);
  expect(output().match(/→ S3 endpoint: connected/g)).toHaveLength(3);
  expect(output()).toMatch(/Sector s-t01000-0 is Finished/);
  expect(output()).toMatch(/The S3 secret key is in the memory of process \d+ of the control plane/);
  expect(output().match(/-box: the secret key is in none of its arguments, environment, memory, files and log/g)).toHaveLength(3);
  // The files went through it, and not through the control plane.
  expect(existsSync(join(data, 'objects'))).toBe(false);
  expect(processesOf(data)).toEqual([]);
});

test.runIf(here).each(['SIGINT', 'SIGKILL'] as const)('%s in the middle of it leaves no process, and so no namespace', async (signal) => {
  const data = folder();
  const { child, output, ended } = demo(data);
  await vi.waitFor(() => expect(output()).toMatch(/^Queued job/m), SOON);
  child.kill(signal);
  await ended;
  await vi.waitFor(() => expect(processesOf(data)).toEqual([]), SOON);
});
