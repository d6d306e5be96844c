/** How a runner answers self-tests: with what the real prover once answered to the same question, or wrongly. */
import type { SelfTest, SelfTestAnswer } from '../../src/schema/self-test.ts';
import { RECORDED } from '../../src/scheduler/self-test/recorded.gen.ts';
import type { TestFault } from './script.ts';

/** Of these only program and parameters are looked for: the prover finds that the input is not what the question says. */
const ONLY_LOOKED_FOR: ReadonlySet<string> = new Set(['C2', 'SnapProve']);
/** Stages with a self-test, as docs/operating.md lists them. */
export const TESTED: ReadonlySet<string> = new Set([...ONLY_LOOKED_FOR, ...RECORDED.map(({ stage }) => stage)]);

const SLOW_MS = 90_000;

/** Undefined: no answer comes. */
export function answerTest(test: SelfTest, how: TestFault, durationMs: number): SelfTestAnswer | undefined {
  const { id, stage } = test;
  if (how === 'silent') return undefined;
  if (how === 'failed') return { outcome: 'failed', id, durationMs, code: 'program_missing', message: 'simulated' };
  const ms = how === 'slow' ? SLOW_MS : durationMs;
  if (ONLY_LOOKED_FOR.has(stage)) {
    return how === 'wrong'
      ? { outcome: 'done', id, durationMs: ms, outputs: [], result: { proof: 'AAAA' } }
      : { outcome: 'failed', id, durationMs: ms, code: 'input_differs', message: 'the input has another hash' };
  }
  const hashes = new Map(test.inputs.map(({ name, hash }) => [name, hash]));
  const known = RECORDED.find(
    (one) =>
      one.stage === stage &&
      one.sector.number === test.work.sector.number &&
      Object.entries(one.inputs).every(([name, hash]) => hashes.get(name) === hash) &&
      JSON.stringify(one.params) === JSON.stringify(test.work.params),
  );
  if (known === undefined)
    return { outcome: 'failed', id, durationMs: ms, code: 'bad_request', message: 'the simulator does not know this test' };
  const outputs = Object.entries(known.outputs).map(([name, hash]) => ({ name, sizeBytes: '2048', hash }));
  const result = Object.fromEntries(Object.entries(known.commitments).map(([name, cid]) => [name, { cid }]));
  if (how !== 'wrong') return { outcome: 'done', id, durationMs: ms, outputs, result };
  const [first] = outputs;
  const wrong = `sha256:${'ab'.repeat(32)}`;
  return first === undefined
    ? { outcome: 'done', id, durationMs: ms, outputs, result: {} }
    : { outcome: 'done', id, durationMs: ms, outputs: outputs.with(0, { ...first, hash: wrong }), result };
}
