/** Tests with known answers: what is asked, and whether what came back is right. Pure. */
import type { SelfTest, SelfTestAnswer } from '../../schema/self-test.ts';
import { SealProof } from '../../schema/seal-proof.ts';
import type { Network, ProverStage, Stage } from '../../schema/stage.ts';
import type { AttemptId } from '../../schema/ids.ts';
import { FILES, RECORDED } from './recorded.gen.ts';

/** A case that sealpool-prover was asked once (`scripts/record-self-tests.ts`). Files are named by their hash. */
export type RecordedCase = {
  readonly name: string;
  readonly stage: Stage;
  readonly prover: ProverStage;
  readonly sector: { readonly miner: string; readonly number: string };
  readonly params: Readonly<Record<string, unknown>>;
  readonly inputs: Readonly<Record<string, string>>;
  /** Output → its hash. */
  readonly outputs: Readonly<Record<string, string>>;
  /** CIDs of the result's commitments. */
  readonly commitments: Readonly<Record<string, string>>;
};

/** Slower at 2 KiB than this is no machine to wait for: an old laptop takes a second. */
export const MOST_MS = 60_000;
/** Proofs take minutes and each real one is verified: of these stages only program and parameters are looked for. */
const PROOF_STAGES: Readonly<Partial<Record<Stage, { prover: ProverStage; input: string; params: readonly string[] }>>> = {
  C2: { prover: 'c2', input: 'vanilla-proofs.json', params: ['ticket', 'seed', 'commR', 'commD'] },
  SnapProve: { prover: 'snap-prove', input: 'update-vanilla-proofs.json', params: ['commROld', 'commRNew', 'commDNew'] },
};
const NO_HASH = `sha256:${'0'.repeat(64)}`;
const SOME_32 = '01'.repeat(32);

/** Whether a stage can be tested at all. */
export const isTested = (stage: Stage): boolean => stage in PROOF_STAGES || RECORDED.some((known) => known.stage === stage);

/** A test of the stage. `dice` (hex digits) chooses which, so that a runner cannot know what it will be asked. */
export function makeTest(
  id: AttemptId,
  stage: Stage,
  dice: string,
  network: Network,
  sealProofs: readonly SealProof[],
): { test: SelfTest; known: string } {
  const chosen = <T>(from: readonly T[]): T => from[Number.parseInt(dice.slice(0, 8), 16) % from.length] as T;
  const proof = PROOF_STAGES[stage];
  if (proof !== undefined) {
    const sector = { miner: 't01000', number: '1', sealProof: chosen(sealProofs) } as SelfTest['work']['sector'];
    const params = Object.fromEntries(proof.params.map((name) => [name, SOME_32]));
    const input = { name: proof.input, content: 'e30=', sizeBytes: '2', hash: NO_HASH };
    const work = { kind: 'prover', stage: proof.prover, network, sector, params } as const;
    return { test: { id, stage, work, inputs: [input], outputs: ['proof.bin'] }, known: stage };
  }
  const known = chosen(RECORDED.filter((one) => one.stage === stage));
  const sector = { ...known.sector, sealProof: SealProof.enum.StackedDrg2KiBV1_1 } as SelfTest['work']['sector'];
  const work = { kind: 'prover', stage: known.prover, network, sector, params: { ...known.params } } as const;
  const inputs = Object.entries(known.inputs).map(([name, hash]) => {
    const { content, sizeBytes } = FILES[hash] as { content: string; sizeBytes: number };
    return { name, content, sizeBytes: String(sizeBytes), hash };
  });
  return { test: { id, stage, work, inputs, outputs: Object.keys(known.outputs) }, known: known.name };
}

/** What is to be held of an answer: right, not able to (nobody's lie), or wrong. */
export type Verdict = { readonly verdict: 'passed' } | { readonly verdict: 'failed' | 'wrong'; readonly reason: string };

export function judge(stage: Stage, known: string, answer: SelfTestAnswer): Verdict {
  if (answer.durationMs > MOST_MS) {
    return { verdict: 'failed', reason: `it took ${Math.round(answer.durationMs / 1000)} s, where ${MOST_MS / 1000} s are the most` };
  }
  if (stage in PROOF_STAGES) return judgeProof(answer);
  if (answer.outcome === 'failed') return { verdict: 'failed', reason: `it failed with ${answer.code}: ${answer.message}` };
  const wanted = RECORDED.find(({ name }) => name === known);
  // Recorded by a version of the control plane before this one.
  if (wanted === undefined) return { verdict: 'failed', reason: 'its question is not known any more; it is asked again' };
  const wrong = (what: string): Verdict => ({ verdict: 'wrong', reason: `self-test ${known} came back wrong: ${what}` });
  for (const [name, hash] of Object.entries(wanted.outputs)) {
    const given = answer.outputs.find((output) => output.name === name)?.hash;
    if (given !== hash) return wrong(`${name} has ${given ?? 'not been made'}, right is ${hash}`);
  }
  for (const [name, cid] of Object.entries(wanted.commitments)) {
    const given = (answer.result[name] as { cid?: unknown } | null | undefined)?.cid;
    if (given !== cid) return wrong(`${name} is ${String(given).slice(0, 80)}, right is ${cid}`);
  }
  return { verdict: 'passed' };
}

/** The prover looks for its parameters before its input, and the input is never what the test says of it. */
function judgeProof(answer: SelfTestAnswer): Verdict {
  if (answer.outcome === 'failed') {
    return answer.code === 'input_differs'
      ? { verdict: 'passed' }
      : { verdict: 'failed', reason: `it failed with ${answer.code}: ${answer.message}` };
  }
  return { verdict: 'wrong', reason: 'it says that it proved over an input that has another hash than the request says' };
}
