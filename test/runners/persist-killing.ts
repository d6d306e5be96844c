/** Persist in a process of its own, killed at steps that change the storage, writes cut in halves: never is there half a file under a final name. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { bytesOf } from '../objects/conformance.ts';
import { lotusComplaints } from './lotus-layout.ts';

const PROGRAM = join(import.meta.dirname, 'persisting.ts');
const files = { sealed: bytesOf('sealed', 3_000_000), 'cache/p_aux': bytesOf('p_aux', 64), 'cache/t_aux': bytesOf('t_aux', 235) };
const after: Record<string, string> = {
  'sealed/s-t01000-7': files.sealed.toString('latin1'),
  'cache/s-t01000-7/p_aux': files['cache/p_aux'].toString('latin1'),
  'cache/s-t01000-7/t_aux': files['cache/t_aux'].toString('latin1'),
  'cache/s-t01000-7/sector.json': '{\n  "version": 2\n}\n',
};
const before: Record<string, string> = Object.fromEntries(Object.keys(after).map((path) => [path, `the old ${path}`]));

const run = (storage: string, work: string, step: number): Promise<{ killed: boolean; out: string }> =>
  new Promise((resolve, reject) => {
    execFile(process.execPath, [PROGRAM, storage, work, String(step)], (error, out, err) => {
      if (error !== null && error.signal !== 'SIGKILL') reject(new Error(err));
      else resolve({ killed: error?.signal === 'SIGKILL', out });
    });
  });

/** Files that have their names; what is on its way is under `fetching`. */
async function named(storage: string): Promise<Record<string, string>> {
  const entries = await readdir(storage, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const own = paths.filter((path) => !path.includes('/fetching/'));
  return Object.fromEntries(await Promise.all(own.map(async (path) => [path.slice(storage.length + 1), await readFile(path, 'latin1')])));
}

async function folders(): Promise<{ storage: string; work: string }> {
  const dir = await mkdtemp(join(tmpdir(), 'persist-kill-'));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  const [storage, work] = [join(dir, 'storage'), join(dir, 'work')];
  await mkdir(storage);
  for (const [name, bytes] of Object.entries(files)) {
    await mkdir(dirname(join(work, 'in', name)), { recursive: true });
    await writeFile(join(work, 'in', name), bytes);
  }
  return { storage, work };
}

/** Over what is in the storage before: nothing, or the sector's older files. */
export const THERE: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
  ['into an empty storage', {}],
  ['over a sector that is there', before],
];

/** Kills it at each `every`th step from the last one down, looks at what is left, and once in a while stores anew over it. */
export async function killEach(there: Readonly<Record<string, string>>, every: number): Promise<void> {
  const { storage, work } = await folders();
  const reset = async (): Promise<void> => {
    await rm(storage, { recursive: true });
    await mkdir(storage);
    for (const [path, content] of Object.entries(there)) {
      await mkdir(dirname(join(storage, path)), { recursive: true });
      await writeFile(join(storage, path), content);
    }
  };
  await reset();
  const whole = await run(storage, work, 0);
  const steps = Number(/steps (\d+)/.exec(whole.out)?.[1]);
  expect(steps).toBeGreaterThan(20);
  expect(await named(storage)).toEqual(after);
  let killed = 0;
  for (let step = steps; step > 0; step -= every) {
    await reset();
    expect(await run(storage, work, step)).toMatchObject({ killed: true });
    killed += 1;
    const found = await named(storage);
    for (const [path, content] of Object.entries(found))
      expect(content === after[path] || content === there[path], `${path} is whole, killed at step ${step}`).toBe(true);
    for (const path of Object.keys(there)) expect(found[path], `${path} is there, killed at step ${step}`).toBeDefined();
    // Lotus can attach the path as the crash left it.
    if (there === THERE[0]?.[1]) expect(await lotusComplaints(storage, { attached: false }), `killed at step ${step}`).toEqual([]);
    if (killed % 4 !== 1) continue;
    await run(storage, work, 0);
    expect(await named(storage)).toEqual(after);
  }
}
