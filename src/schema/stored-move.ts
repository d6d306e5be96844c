/** Moving a sector's files from one path of a runner to another: what the runner is asked, and what came of it. */
import { z } from 'zod';
import { MinerId } from './ids.ts';
import { StorageId } from './miner-storage.ts';
import { printable } from './printable.ts';
import { StoredFile } from './stage.ts';

/** `copy`: make the files in the new path; `drop`: remove those of the old path, once the new ones agree; `undo`: remove what was made in the new one, but nothing that the old one does not have. */
export const MoveStep = z.enum(['copy', 'drop', 'undo']);
export type MoveStep = z.infer<typeof MoveStep>;

const about = {
  step: MoveStep,
  miner: MinerId,
  number: z.number().int().nonnegative(),
  from: StorageId,
  to: StorageId,
  /** Which asking it is, told back with the answer: an older one of the same step says nothing. Absent from older control planes. */
  asked: z.number().int().nonnegative().optional(),
};

/** One step of a move; every step may be asked for again. */
export const StoredMove = z.object({ ...about, files: z.array(StoredFile) });
export type StoredMove = z.infer<typeof StoredMove>;

/**
 * `bad`: files are not as they were stored, those of the old path where they were to be copied, those of the new one where the
 * old ones were to be removed. `failed`: `message` says why.
 */
export const StoredMoveAnswer = z.strictObject({
  ...about,
  outcome: z.enum(['done', 'bad', 'failed']),
  bad: z.array(z.strictObject({ path: printable(400), how: printable(300) })).max(200),
  message: printable(500).nullable(),
});
export type StoredMoveAnswer = z.infer<typeof StoredMoveAnswer>;
