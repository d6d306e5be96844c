/** Reads the `sectorstore.json` of a path of miner storage. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { META_FILE, SectorStore } from '../schema/sector-store.ts';
import { errnoOf } from './failure.ts';

/** The file of the path; undefined: there is none. Throws what is wrong with it. */
export async function readSectorStore(path: string): Promise<SectorStore | undefined> {
  const text = await readFile(join(path, META_FILE), 'utf8').catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  });
  return text === undefined ? undefined : parsedSectorStore(text);
}

/** Its content. Throws what is wrong with it. */
export function parsedSectorStore(text: string): SectorStore {
  try {
    return SectorStore.parse(JSON.parse(text));
  } catch {
    throw new Error(`its ${META_FILE} is not what lotus writes; mend it`);
  }
}
