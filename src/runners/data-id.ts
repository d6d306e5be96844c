/** DATA/data.id: a name for this data folder, by which what a crashed agent left elsewhere is found again. */
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** The folder's id, made when there is none; call it with the lock held. */
export async function dataId(dataDir: string): Promise<string> {
  const file = join(dataDir, 'data.id');
  const kept = (await readFile(file, 'utf8').catch(() => '')).trim();
  if (/^[0-9a-f]{16}$/.test(kept)) return kept;
  const made = randomBytes(8).toString('hex');
  await writeFile(file, `${made}\n`);
  return made;
}
