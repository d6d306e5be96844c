/** Checkpoints of attempts that go on: each upload becomes an object, and the object an artifact of the job. */
import { SealpoolError } from '../schema/problem.ts';
import type { Checkpoint, NextAnswer } from '../schema/runner.ts';
import { checkCheckpoint, keepCheckpoint } from '../scheduler/checkpoints.ts';
import { seen } from '../scheduler/fleet.ts';
import type { ReportAnswer } from '../scheduler/held-attempt.ts';
import type { UploadRow } from '../scheduler/ports.ts';

import { runnerOf } from './auth.ts';
import type { ApiParts } from './parts.ts';

/** Makes the object of an upload; throws as the object store does. */
type Complete = (parts: ApiParts, upload: UploadRow, output: Checkpoint['output']) => Promise<void>;

/** Answers each on its own: `retry_later` when the object store could not take it, and then nothing has changed. */
export async function takeCheckpoints(
  parts: ApiParts,
  credential: string,
  { bootId, checkpoints }: { readonly bootId: string; readonly checkpoints: readonly Checkpoint[] },
  complete: Complete,
): Promise<NonNullable<NextAnswer['checkpoints']>> {
  if (checkpoints.length === 0) return [];
  const checked = await parts.door.run((ctx) => {
    const runner = seen(ctx, runnerOf(ctx, credential), bootId);
    return checkpoints.map((checkpoint) => ({ checkpoint, standing: checkCheckpoint(ctx, runner, checkpoint) }));
  });
  const completed = await Promise.all(
    checked.map(async ({ checkpoint, standing }): Promise<{ checkpoint: Checkpoint; answer?: ReportAnswer }> => {
      if ('status' in standing) return { checkpoint, answer: standing };
      try {
        await complete(parts, standing.upload, checkpoint.output);
        return { checkpoint };
      } catch (error) {
        parts.log.warn({ err: error, attempt: checkpoint.attempt }, 'an output that was sent early could not be completed');
        // Sent wrong: it goes with the report, which says whose fault it is.
        const wrong = error instanceof SealpoolError && error.status < 500 && error.code !== 'object_exists';
        return { checkpoint, answer: { status: wrong ? 'refused' : 'retry_later', message: 'its upload could not be completed' } };
      }
    }),
  );
  return parts.door.run((ctx) =>
    completed.map(({ checkpoint, answer }) => {
      const { status } = answer ?? keepCheckpoint(ctx, runnerOf(ctx, credential), checkpoint);
      return { attempt: checkpoint.attempt, name: checkpoint.output.name, status };
    }),
  );
}
