/** Folders that an attempt could not remove go later; those that something works in stay. */
import { existsSync, rmSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { DRAFTS_FILE } from '../../src/runners/persist.ts';
import { eventually, proverWork, useAgent } from './agent-fixture.ts';

const fixture = useAgent();

test('what an ended attempt left goes with its drafts in miner storage; a running one and a processor keep theirs', async () => {
  await fixture.start({ sweepMs: 20 });
  const { attempt } = await fixture.plane.grant({ work: proverWork({ do: 'hang' }) });
  const work = join(fixture.dataDir, 'work');
  await eventually(() => existsSync(join(work, attempt))).toBe(true);
  const [left, processor, draft] = [join(work, 'a-0123456789ab'), join(work, 'processor-PC1-1'), join(fixture.storage.path, 'sealed.tmp')];
  const made = join(fixture.dir, 'made');
  for (const folder of [made, processor]) await mkdir(folder);
  await writeFile(draft, 'half a file');
  await writeFile(join(made, DRAFTS_FILE), JSON.stringify([draft]));
  // Whole at once: it is swept as soon as it is there.
  await rename(made, left);
  await eventually(() => existsSync(left)).toBe(false);
  expect(existsSync(draft)).toBe(false);
  expect([existsSync(join(work, attempt)), existsSync(processor)]).toEqual([true, true]);
  rmSync(processor, { recursive: true });
});
