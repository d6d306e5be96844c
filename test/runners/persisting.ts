/**
 * A process that stores the files of one sector, and is killed at one step of it: `persisting.ts STORAGE WORK STEP`.
 * Without STEP it counts: `steps N`.
 */
import fs from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { killedAtStep } from './killed-steps.ts';

const [storage = '', work = '', last = '0'] = process.argv.slice(2);
const steps = killedAtStep(storage, Number(last));

const { persist } = await import('../../src/runners/persist.ts');
const { StorageWatch } = await import('../../src/runners/storage-paths.ts');
const roots = [{ id: 'main', path: storage }];
const names = { sealed: 'sealed/s-t01000-7', 'cache/p_aux': 'cache/s-t01000-7/p_aux', 'cache/t_aux': 'cache/s-t01000-7/t_aux' };
const inputs = await Promise.all(
  Object.keys(names).map(async (name) => {
    const bytes = await fs.readFile(join(work, 'in', name));
    return { name, url: '', sizeBytes: String(bytes.length), hash: `sha256:${createHash('sha256').update(bytes).digest('hex')}` };
  }),
);
await persist({
  grant: { attempt: 'a-killed0001' as never, inputs },
  work: {
    kind: 'persist',
    storage: 'main',
    files: Object.entries(names).map(([artifact, path]) => ({ artifact, path })),
    sectorJson: { path: 'cache/s-t01000-7/sector.json', content: { version: 2 } },
  },
  workDir: work,
  roots,
  watch: new StorageWatch(roots, work),
  progress: { note: () => undefined },
  signal: new AbortController().signal,
});
process.stdout.write(`steps ${steps()}\n`);
