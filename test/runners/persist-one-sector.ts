/** What processes do that are killed at it: Persist of one small sector, whose inputs are in the work folder already. */
import { createHash } from 'node:crypto';
import fs from 'node:fs/promises';
import { join } from 'node:path';
import { persist } from '../../src/runners/persist.ts';
import { StorageWatch } from '../../src/runners/storage-paths.ts';
import type { StorageRoot } from '../../src/runners/options.ts';

/** Stores these files of the sector, by their artifacts, in the storage `main`. */
export async function persistOneSector(
  roots: readonly StorageRoot[],
  work: string,
  names: Readonly<Record<string, string>>,
): Promise<void> {
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
}
