/** A move in a process of its own, killed at steps of it: each file is whole in the old path or the new one at every moment, never half under a name. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { bytesOf } from '../objects/conformance.ts';
import { lotusComplaints } from './lotus-layout.ts';

const PROGRAM = join(import.meta.dirname, 'moving.ts');
const FILES: Readonly<Record<string, Buffer>> = {
  'sealed/s-t01000-7': bytesOf('sealed', 2_500_000),
  'cache/s-t01000-7/p_aux': bytesOf('p_aux', 64),
  'cache/s-t01000-7/t_aux': bytesOf('t_aux', 235),
  'cache/s-t01000-7/sector.json': Buffer.from('{}\n'),
};
const stored = Object.entries(FILES).map(([path, bytes]) => ({
  path,
  sizeBytes: String(bytes.length),
  hash: `sha256:${createHash('sha256').update(bytes).digest('hex')}`,
}));
const WHOLE = Object.fromEntries(Object.entries(FILES).map(([path, bytes]) => [path, bytes.toString('latin1')]));

const run = (dir: string, step: number): Promise<{ killed: boolean; out: string }> =>
  new Promise((resolve, reject) => {
    execFile(process.execPath, [PROGRAM, dir, String(step)], (error, out, err) => {
      if (error !== null && error.signal !== 'SIGKILL') reject(new Error(err));
      else resolve({ killed: error?.signal === 'SIGKILL', out });
    });
  });

/** Files below a root; `drafts`: those on their way as well. */
async function filesIn(root: string, drafts = false): Promise<Record<string, string>> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const own = paths.filter((path) => drafts || !path.includes('/fetching/'));
  return Object.fromEntries(await Promise.all(own.map(async (path) => [path.slice(root.length + 1), await readFile(path, 'latin1')])));
}

/** Kills it at each `every`th step from the last one down, looks at both paths, and then lets it go on to its end. */
export async function killEach(every: number): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'move-kill-'));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  const [from, to] = [join(dir, 'old'), join(dir, 'new')];
  await writeFile(join(dir, 'files.json'), JSON.stringify(stored));
  const reset = async (): Promise<void> => {
    for (const root of [from, to]) {
      await rm(root, { recursive: true, force: true });
      await mkdir(root);
    }
    for (const [path, bytes] of Object.entries(FILES)) {
      await mkdir(dirname(join(from, path)), { recursive: true });
      await writeFile(join(from, path), bytes);
    }
    // Of another sector: it stays.
    await writeFile(join(from, 'sealed/s-t01000-8'), 'another');
  };
  const moved = async (told: string): Promise<void> => {
    expect(await filesIn(to, true), told).toEqual(WHOLE);
    expect(await filesIn(from, true), told).toEqual({ 'sealed/s-t01000-8': 'another' });
    expect(await readdir(join(from, 'cache')), told).not.toContain('s-t01000-7');
  };
  await reset();
  const { out } = await run(dir, 0);
  const steps = Number(/steps (\d+)/.exec(out)?.[1]);
  expect(steps).toBeGreaterThan(20);
  await moved('in one go');
  for (let step = steps; step > 0; step -= every) {
    const told = `killed at step ${step} of ${steps}`;
    await reset();
    expect(await run(dir, step), told).toMatchObject({ killed: true });
    const [old, fresh] = [await filesIn(from), await filesIn(to)];
    for (const [path, content] of Object.entries({ ...WHOLE })) {
      expect(old[path] === content || fresh[path] === content, `${path} is whole somewhere, ${told}`).toBe(true);
      expect([undefined, content], `${path} has no half in the new path, ${told}`).toContain(fresh[path]);
    }
    // The old files go only once all of the new ones are there.
    if (Object.keys(WHOLE).some((path) => old[path] === undefined)) expect(fresh, told).toEqual(WHOLE);
    expect(await lotusComplaints(to, { attached: false }), told).toEqual([]);
    await run(dir, 0);
    await moved(`gone on after it was ${told}`);
  }
}
