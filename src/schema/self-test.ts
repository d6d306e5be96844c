/** Self-tests: a stage over a 2 KiB sector whose answer the control plane knows, before the first grant and now and then after. */
import { z } from 'zod';
import { ArtifactName } from './artifact.ts';
import { AttemptId } from './ids.ts';
import { redacted } from './redacted.ts';
import { ProverWork, Stage } from './stage.ts';
import { Decimal, Hash, UnixMs } from './units.ts';

/** What the runner is asked to do. It is named and run like an attempt; its inputs are small enough to come along. */
export const SelfTest = z.object({
  id: AttemptId,
  stage: Stage,
  work: ProverWork,
  /** Content in base64. */
  inputs: z.array(z.object({ name: ArtifactName, content: z.base64().max(100_000), sizeBytes: Decimal, hash: Hash })).max(64),
  outputs: z.array(ArtifactName).max(64),
});
export type SelfTest = z.infer<typeof SelfTest>;

const durationMs = z.number().int().nonnegative();
export const SelfTestAnswer = z.discriminatedUnion('outcome', [
  z.strictObject({
    outcome: z.literal('done'),
    id: AttemptId,
    durationMs,
    outputs: z.array(z.strictObject({ name: ArtifactName, sizeBytes: Decimal, hash: Hash })).max(64),
    result: z.record(z.string(), z.unknown()),
  }),
  z.strictObject({
    outcome: z.literal('failed'),
    id: AttemptId,
    durationMs,
    code: z.string().max(40),
    message: z
      .string()
      .max(2000)
      .transform((text) => redacted(text.replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, ''))),
  }),
]);
export type SelfTestAnswer = z.infer<typeof SelfTestAnswer>;

/** What is known of a runner's stages; kept with it. */
export const RunnerTests = z.object({
  /** Tests that are out, and for which boot of the runner. */
  asked: z.array(z.object({ id: AttemptId, stage: Stage, known: z.string(), askedMs: UnixMs, bootId: z.string() })),
  /** The last outcome of each stage. */
  stages: z.partialRecord(Stage, z.object({ passed: z.boolean(), atMs: UnixMs, durationMs, reason: z.string().nullable() })),
});
export type RunnerTests = z.infer<typeof RunnerTests>;

/** Which runners must pass: rented ones, all, or none. */
export const SelfTestPolicy = z.enum(['rented', 'all', 'off']);
export type SelfTestPolicy = z.infer<typeof SelfTestPolicy>;
