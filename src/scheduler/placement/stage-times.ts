/** How long a stage takes on a runner: measured by what it did before, else by its self-tests, else as on a usual machine. */
import type { Attempt } from '../../schema/job.ts';
import { sealProofInfo, type SealProof } from '../../schema/seal-proof.ts';
import type { Stage } from '../../schema/stage.ts';
import type { RunnerRow } from '../ports.ts';
import { needsOf, pc1Ms } from './needs.ts';

/** So much the last run counts against those before it. */
const NEWEST = 0.3;
/** What differs by less is not written down. */
const NOTICED_MS = 1_000;
/** Self-tests are over 2 KiB sectors: of larger ones they say nothing. */
const TESTED_BYTES = 2 ** 11;

const keyOf = (stage: Stage, proof: SealProof): string => `${stage}/${sealProofInfo(proof).sectorSizeBytes}`;

/** Milliseconds without fetching inputs, and whether this runner was measured. Sending outputs is in what was measured. */
export function stageTime(runner: RunnerRow, stage: Stage, proof: SealProof): { readonly ms: number; readonly measured: boolean } {
  const known = runner.stageMs?.[keyOf(stage, proof)];
  if (known !== undefined) return { ms: known, measured: true };
  const test = runner.tests?.stages[stage];
  if (test?.passed === true && sealProofInfo(proof).sectorSizeBytes === TESTED_BYTES) return { ms: test.durationMs, measured: true };
  const { speeds } = runner.resources;
  if (stage === 'PC1' && speeds !== undefined) return { ms: pc1Ms(proof, speeds.hashMbPerSecond), measured: true };
  return { ms: needsOf(stage, proof).usualMs, measured: false };
}

/** The runner, having done an attempt that ends now: a moving average, so that one slow run does not stick. */
export function learned(runner: RunnerRow, attempt: Attempt, proof: SealProof, nowMs: number): RunnerRow {
  const wholeMs = Math.max(0, nowMs - attempt.grantedMs);
  // The estimate of the transfer may be wrong: a tenth of the whole counts in any case.
  const tookMs = Math.max(wholeMs / 10, wholeMs - (attempt.expected?.fetchMs ?? 0));
  const key = keyOf(attempt.stage, proof);
  const before = runner.stageMs?.[key];
  const ms = Math.round(before === undefined ? tookMs : before + (tookMs - before) * NEWEST);
  if (before !== undefined && Math.abs(ms - before) < Math.max(NOTICED_MS, before / 20)) return runner;
  return { ...runner, stageMs: { ...runner.stageMs, [key]: ms } };
}
