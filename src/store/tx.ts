/** `Tx` over either engine: statements are prepared once per connection and used inside every transaction. */
import type { Tx } from '../scheduler/ports.ts';
import { answersPart } from './answers.ts';
import { attemptsPart, uploadsPart } from './attempts.ts';
import { countsPart } from './counts.ts';
import type { Db } from './db.ts';
import { effectsPart } from './effects.ts';
import { eventsPart, metaPart } from './events.ts';
import { jobsPart } from './jobs.ts';
import { minerStoragePart } from './miner-storage.ts';
import { manifestsPart } from './manifests.ts';
import { piecesPart, threadsPart } from './pieces.ts';
import { apiTokensPart, runnersPart } from './runners.ts';
import { sectorRecordsPart } from './sector-records.ts';
import { wakePart } from './wake.ts';
import { webhooksPart } from './webhooks.ts';

/**
 * Everything a transaction may do, over a database whose migrations have run. The adapter opens and closes
 * the transaction around each use.
 */
export function makeTx(db: Db): Tx {
  return {
    // Inside a transaction both engines make a savepoint of a nested one.
    savepoint: (step) => db.transaction(step),
    ...metaPart(db),
    ...jobsPart(db),
    ...sectorRecordsPart(db),
    ...minerStoragePart(db),
    ...eventsPart(db),
    ...attemptsPart(db),
    ...uploadsPart(db),
    ...manifestsPart(db),
    ...runnersPart(db),
    ...apiTokensPart(db),
    ...piecesPart(db),
    ...threadsPart(db),
    ...webhooksPart(db),
    ...answersPart(db),
    ...countsPart(db),
    ...effectsPart(db),
    ...wakePart(db),
  };
}
