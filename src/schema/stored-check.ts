/** Reading stored files against their hashes in the background: what a runner is asked, and what it found. */
import { z } from 'zod';
import { MinerId } from './ids.ts';
import { StorageId } from './miner-storage.ts';
import { printable } from './printable.ts';
import { StoredFile } from './stage.ts';

const number = z.number().int().nonnegative();

/** Read these files, no faster than that. */
export const StoredCheck = z.object({
  storage: StorageId,
  miner: MinerId,
  number,
  files: z.array(StoredFile),
  bytesPerS: z.number().positive(),
});
export type StoredCheck = z.infer<typeof StoredCheck>;

/** `away`: the storage could not be read as a whole, which says nothing of its files. */
export const StoredCheckAnswer = z.strictObject({
  storage: StorageId,
  miner: MinerId,
  number,
  outcome: z.enum(['checked', 'away']),
  bad: z.array(z.strictObject({ path: printable(400), how: printable(300) })).max(200),
});
export type StoredCheckAnswer = z.infer<typeof StoredCheckAnswer>;
