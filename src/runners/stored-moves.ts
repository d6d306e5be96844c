/** Moves of stored files that the control plane asks an agent for: one step after another, beside its stages. */
import type { StoredMove, StoredMoveAnswer } from '../schema/stored-move.ts';
import type { DiskLimit } from './disk-limit.ts';
import { Errands } from './errands.ts';
import { moveFiles } from './move-files.ts';
import type { StorageRoot } from './options.ts';
import type { StorageWatch } from './storage-paths.ts';

/** Moves of one agent. */
export class StoredMoves extends Errands<StoredMove, StoredMoveAnswer> {
  constructor(roots: readonly StorageRoot[], watch: StorageWatch, limit: DiskLimit, onAnswer: () => void) {
    super(async ({ files, ...about }, signal) => {
      try {
        const bad = await moveFiles({ move: { files, ...about }, roots, watch, limit, signal });
        return { ...about, outcome: bad.length === 0 ? 'done' : 'bad', bad, message: null };
      } catch (error) {
        return { ...about, outcome: 'failed', bad: [], message: messageOf(error) };
      }
    }, onAnswer);
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error)).slice(0, 500);
