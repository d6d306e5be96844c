/**
 * A runner that failed says its inputs are bad. Who made them may be at fault, or who says so: an own runner
 * is believed, a rented one when a second one says the same. Whose word is refuted pays for it afterwards.
 */
import type { Artifact } from '../schema/artifact.ts';
import type { Attempt, Job } from '../schema/job.ts';
import type { Report } from '../schema/runner.ts';
import type { Context } from './context.ts';
import { taken } from './evidence.ts';
import { strike } from './fleet.ts';
import { pieceInput } from './piece-input.ts';
import type { Verdict } from './plan.ts';
import { planOf } from './plans/all.ts';
import type { RunnerRow } from './ports.ts';

type Failed = Extract<Report, { outcome: 'failed' }>;

/** What a word about inputs leads to: a verdict, or (undefined) the stage just goes to another runner. */
export type Disputed = { readonly verdict: Verdict | undefined; readonly strikes: boolean };

/** Codes that say that inputs with the right hashes are no good. */
const INVALID: ReadonlySet<string> = new Set(['input_invalid', 'proof_invalid']);

/** The artifact that the report says differs or is gone: a stage knows it by the prover's name for it. */
function namedInput(job: Job, attempt: Attempt, report: Failed): { readonly name: string; readonly artifact: Artifact } | undefined {
  if (report.code !== 'input_differs' && report.code !== 'input_missing') return undefined;
  const { inputs } = planOf(job.plan).work(job, attempt.stage);
  const name = inputs.find((input) => input.name === report.input)?.artifact;
  const artifact = name === undefined ? undefined : job.data.artifacts[name];
  return name === undefined || artifact === undefined ? undefined : { name, artifact };
}

/** The piece of client data that the report says is gone; pieces are inputs by their place among the job's. */
function namedPiece(job: Job, attempt: Attempt, report: Failed): Job['data']['pieces'][number] | undefined {
  if (report.code !== 'input_missing' || !planOf(job.plan).work(job, attempt.stage).pieces) return undefined;
  return job.data.pieces.find((_, at) => pieceInput(at) === report.input);
}

/** Key of the object that the report says is gone: whether it is so, the control plane can see for itself. */
export function missingKey(ctx: Context, report: Report): string | undefined {
  if (report.outcome !== 'failed' || report.code !== 'input_missing') return undefined;
  const attempt = ctx.tx.attempt(report.attempt);
  const job = attempt === undefined ? undefined : ctx.tx.job(attempt.job);
  if (attempt === undefined || job === undefined) return undefined;
  return (namedInput(job, attempt, report)?.artifact ?? namedPiece(job, attempt, report))?.key;
}

/** How a word about inputs begins in the attempt's failure: the same words of two runners begin alike. */
function wordOf(job: Job, attempt: Attempt, report: Failed): string {
  const named = namedInput(job, attempt, report);
  return named === undefined ? `${report.code}: ` : `${report.code} in ${named.name}: `;
}

/** What is kept of a failure with its attempt. */
export const failureText = (job: Job, attempt: Attempt, report: Failed): string => `${wordOf(job, attempt, report)}${report.message}`;

/** Reads a failure that puts the blame on inputs; undefined: it does not. */
export function readDispute(ctx: Context, runner: RunnerRow, job: Job, attempt: Attempt, report: Failed): Disputed | undefined {
  const verdict = verdictOf(ctx, runner, job, attempt, report);
  if (verdict === undefined) return undefined;
  // No word against a word: the control plane has looked (see `missingKey`).
  if (report.code === 'input_missing') return { verdict, strikes: false };
  const word = wordOf(job, attempt, report);
  const before = earlierWords(ctx, job, attempt, word);
  if (madeAllItself(runner, job, attempt, report)) {
    // Against itself: once it may have misread, twice the file is bad.
    if (before.length === 0) return { verdict: undefined, strikes: true };
    return { verdict: verdict.verdict === 'bad_results' ? { ...verdict, blame: 'fault', counted: true } : verdict, strikes: false };
  }
  if (runner.trust === 'own') return { verdict, strikes: false };
  if (before.length === 0) return { verdict: undefined, strikes: false };
  // Two say so: they may be in league, hence it costs them something too.
  for (const id of new Set(before.filter((other) => other !== runner.id))) {
    const teller = ctx.tx.runner(id);
    const said = sameStage(ctx, job, attempt).find((other) => other.runner === id && other.failure?.startsWith(word) === true);
    if (teller?.trust === 'rented')
      strike(ctx, teller, `${attempt.stage} of ${job.id}: ${report.message}`, false, said && taken(job, said));
  }
  if (verdict.verdict !== 'bad_results' || before.some((other) => other !== runner.id)) return { verdict, strikes: true };
  return { verdict: { ...verdict, blame: 'fault', ...(saidInVain(ctx, job, attempt, word) ? { counted: true } : {}) }, strikes: true };
}

function verdictOf(ctx: Context, runner: RunnerRow, job: Job, attempt: Attempt, report: Failed): Verdict | undefined {
  const named = namedInput(job, attempt, report);
  if (named !== undefined) {
    const { madeIn, madeBy } = named.artifact;
    if (report.code === 'input_missing') {
      const reason = `${named.name} is gone from the object storage`;
      return { verdict: 'bad_results', backTo: madeIn, madeBy, reason, blame: 'none', counted: true };
    }
    return { verdict: 'bad_results', backTo: madeIn, madeBy, reason: `stored ${named.name} differs from the hash its maker reported` };
  }
  const piece = namedPiece(job, attempt, report);
  if (piece !== undefined) {
    const message = `piece ${piece.id} is gone from the object storage, and nobody can make client data again; abort this job, upload the piece once more (sealpool pieces add --reserved) and ask anew`;
    return { verdict: 'error', category: 'permanent', code: 'piece_missing', message };
  }
  if (!INVALID.has(report.code)) return undefined;
  const read = planOf(job.plan).readFailure(job, attempt.stage, report.code);
  if (read !== undefined) return read;
  // Our own files would be the same again: there it is the request that is wrong, which needs a person.
  const rented = inputsOf(job, attempt).filter(({ madeBy }) => madeBy !== runner.id && isRented(ctx, madeBy));
  if (rented.length === 0 || report.code !== 'input_invalid') return undefined;
  const { order } = planOf(job.plan);
  const backTo = rented.map(({ madeIn }) => madeIn).reduce((least, state) => (order.indexOf(state) < order.indexOf(least) ? state : least));
  return { verdict: 'bad_results', backTo, reason: `${attempt.stage} finds its inputs invalid: ${report.message}` };
}

const isRented = (ctx: Context, id: string): boolean => ctx.tx.runner(id as RunnerRow['id'])?.trust === 'rented';

function inputsOf(job: Job, attempt: Attempt): Artifact[] {
  const { inputs } = planOf(job.plan).work(job, attempt.stage);
  return inputs.flatMap(({ artifact }) => job.data.artifacts[artifact] ?? []);
}

function madeAllItself(runner: RunnerRow, job: Job, attempt: Attempt, report: Failed): boolean {
  const named = namedInput(job, attempt, report);
  if (named !== undefined) return named.artifact.madeBy === runner.id;
  // Of an own runner a failed check is a verdict, whoever made what it read.
  return runner.trust === 'rented' && inputsOf(job, attempt).every(({ madeBy }) => madeBy === runner.id);
}

/** Who said this before of the stage, in this run of the state. */
function earlierWords(ctx: Context, job: Job, attempt: Attempt, word: string): Attempt['runner'][] {
  return sameStage(ctx, job, attempt)
    .filter(({ status, failure }) => status === 'failed' && failure?.startsWith(word) === true)
    .map(({ runner }) => runner);
}

/** The job has gone back for the same word before. */
const saidInVain = (ctx: Context, job: Job, { stage, generation }: Attempt, word: string): boolean =>
  ctx.tx
    .attemptsOfJob(job.id)
    .some(
      (other) =>
        other.generation < generation && other.stage === stage && other.status === 'failed' && other.failure?.startsWith(word) === true,
    );

const sameStage = (ctx: Context, job: Job, attempt: Attempt): Attempt[] =>
  ctx.tx
    .attemptsOfJob(job.id)
    .filter(
      ({ id, stage, state, generation }) =>
        id !== attempt.id && stage === attempt.stage && state === attempt.state && generation === attempt.generation,
    );

/** The stage was done with those very inputs: a rented runner that blamed them, and was not struck for it, is now. */
export function strikeDoubters(ctx: Context, job: Job, done: Attempt): void {
  const words = sameStage(ctx, job, done).filter(
    ({ status, failure }) => status === 'failed' && /^(input_differs in |input_invalid: |proof_invalid: )/.test(failure ?? ''),
  );
  for (const said of new Map(words.map((attempt) => [attempt.runner, attempt])).values()) {
    const teller = ctx.tx.runner(said.runner);
    if (teller?.trust !== 'rented' || said.runner === done.runner) continue;
    strike(ctx, teller, `${done.stage} of ${job.id}: it blamed inputs that another runner worked with`, false, taken(job, said));
  }
}
