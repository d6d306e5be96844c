/** A process that moves the files of one sector from `DIR/old` to `DIR/new`, and is killed at one step of it: `moving.ts DIR STEP`. Without STEP it counts: `steps N`. */
import fs from 'node:fs/promises';
import { join } from 'node:path';
import { killedAtStep } from './killed-steps.ts';

const [dir = '', last = '0'] = process.argv.slice(2);
const steps = killedAtStep(dir, Number(last));

const { moveFiles } = await import('../../src/runners/move-files.ts');
const { DiskLimit } = await import('../../src/runners/disk-limit.ts');
const { StorageWatch } = await import('../../src/runners/storage-paths.ts');
const roots = ['old', 'new'].map((id) => ({ id, path: join(dir, id) }));
const files = JSON.parse(await fs.readFile(join(dir, 'files.json'), 'utf8'));
const watch = new StorageWatch(roots, join(dir, 'data'));
for (const step of ['copy', 'drop'] as const) {
  const move = { step, miner: 't01000' as never, number: 7, from: 'old', to: 'new', files };
  const bad = await moveFiles({ move, roots, watch, limit: new DiskLimit(), signal: new AbortController().signal });
  if (bad.length > 0) throw new Error(`${step}: ${JSON.stringify(bad)}`);
}
process.stdout.write(`steps ${steps()}\n`);
