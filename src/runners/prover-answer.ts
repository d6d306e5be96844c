/** What a stage program answers on stdout (`runner-image/PROTOCOL.md`). */
import { z } from 'zod';
import { FailureCode } from '../schema/runner.ts';
import { Decimal, Hash } from '../schema/units.ts';
import type { StageExit } from './executor.ts';
import { type FailureName, StageFailure } from './failure.ts';

const Answer = z.discriminatedUnion('ok', [
  z.object({
    version: z.literal(1),
    ok: z.literal(true),
    outputs: z.record(z.string(), z.object({ sizeBytes: Decimal, hash: Hash })),
    result: z.record(z.string(), z.unknown()),
  }),
  z.object({
    version: z.literal(1),
    ok: z.literal(false),
    error: z.object({ code: z.string(), message: z.string(), input: z.string().nullish() }),
  }),
]);

/** A good answer: outputs by artifact name, and the stage's result. */
export type StageAnswer = Extract<z.infer<typeof Answer>, { ok: true }>;

/** Exit codes of the protocol, for a program that ended without an answer. */
const BY_EXIT: Readonly<Record<number, FailureName>> = {
  2: 'bad_request',
  3: 'input_differs',
  4: 'input_invalid',
  5: 'proof_invalid',
  6: 'parameters_missing',
  7: 'out_of_memory',
  8: 'out_of_disk',
  9: 'interrupted',
};

/** What a program says last when the kernel refuses it something; good enough where it says nothing better. */
const BY_WORDS: readonly (readonly [RegExp, FailureName])[] = [
  [/no space left on device|disk quota exceeded|file size limit exceeded|file too large/i, 'out_of_disk'],
  [/cannot allocate memory|memory exhausted|memory allocation of \d+ bytes failed|out of memory|bad_alloc/i, 'out_of_memory'],
  [/can(?:'|no)t fork|fork: .*resource temporarily unavailable/i, 'too_many_processes'],
];

/** The answer of a stage that ended well. Throws `StageFailure` for every other end; `lastWords` is its log's end. */
export function readAnswer(exit: StageExit, lastWords: string): StageAnswer {
  const said = lastWords === '' ? '' : `; its last words: ${lastWords}`;
  if (exit.stdout === null)
    throw new StageFailure('internal', `the stage program wrote more than an answer can have and was stopped${said}`);
  const parsed = Answer.safeParse(json(exit.stdout));
  const answered = parsed.success ? parsed.data : undefined;
  // A program that says what was wrong knows best.
  const isTold = answered?.ok === true || (answered?.ok === false && answered.error.code !== 'internal');
  if (exit.cause !== undefined && !isTold) throw new StageFailure(exit.cause.code, `${exit.cause.message}${said}`);
  if (exit.signal !== null) {
    // The kernel's answer to too much memory is SIGKILL; nobody else of ours sends it to a stage that was not stopped.
    const code = exit.signal === 'SIGKILL' ? 'out_of_memory' : 'internal';
    const why = exit.signal === 'SIGKILL' ? ', most likely by the kernel because memory ran out' : '';
    throw new StageFailure(code, `the stage program was ended by ${exit.signal}${why}${said}`);
  }
  if (answered === undefined) {
    throw new StageFailure(
      BY_EXIT[exit.code ?? -1] ?? BY_WORDS.find(([words]) => words.test(lastWords))?.[1] ?? 'internal',
      `the stage program ended with code ${exit.code} and no readable answer${said}`,
    );
  }
  if (!answered.ok) {
    const code = FailureCode.safeParse(answered.error.code);
    throw new StageFailure(code.success ? code.data : 'internal', answered.error.message, answered.error.input ?? undefined);
  }
  if (exit.code !== 0)
    throw new StageFailure('internal', `the stage program answered that all went well but ended with code ${exit.code}${said}`);
  return answered;
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
