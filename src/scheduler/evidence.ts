/** What is kept of a result that cost its maker a strike: enough to see later what was wrong, and bounded. */
import { sectorName } from '../schema/ids.ts';
import type { Attempt, Job } from '../schema/job.ts';
import { redacted } from '../schema/redacted.ts';
import type { Report } from '../schema/runner.ts';

const MOST_RESULT_CHARS = 4_000;
const MOST_OUTPUTS = 32;

/** As it stands in the event `runner_struck`. */
export type Evidence = {
  readonly job: string;
  readonly sector: string | null;
  readonly attempt: string;
  readonly stage: string;
  readonly epoch: number;
  /** The files it reported or made, the first of many. */
  readonly outputs: readonly { readonly name: string; readonly sizeBytes: string; readonly hash: string }[];
  readonly outputCount: number;
  /** JSON of what it answered, cut off where it is long. */
  readonly result?: string;
  /** Of a failure. */
  readonly code?: string;
  readonly message?: string;
};

const printable = (text: string): string => redacted(text).replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, '');

function about(job: Job, attempt: Attempt, outputs: Evidence['outputs']): Evidence {
  return {
    job: job.id,
    sector: job.number === null ? null : sectorName(job.miner, job.number),
    attempt: attempt.id,
    stage: attempt.stage,
    epoch: attempt.epoch,
    outputs: outputs.slice(0, MOST_OUTPUTS).map(({ name, sizeBytes, hash }) => ({ name, sizeBytes, hash })),
    outputCount: outputs.length,
  };
}

/** Of a report that is refused, or of a failure. */
export function reported(job: Job, attempt: Attempt, report: Report): Evidence {
  if (report.outcome === 'failed') return { ...about(job, attempt, []), code: report.code, message: printable(report.message) };
  return { ...about(job, attempt, report.outputs), result: printable(JSON.stringify(report.result)).slice(0, MOST_RESULT_CHARS) };
}

/** Of an attempt that has ended, its result taken and refuted later or its failure a lie: what is kept of it. */
export function taken(job: Job, attempt: Attempt): Evidence {
  const own = Object.entries(job.data.artifacts).filter(([, { key }]) => key.includes(`/${attempt.id}/`));
  const { commD, commR, snapCommR, proof, snapProof } = job.data;
  const said = printable(JSON.stringify({ commD, commR, snapCommR, proof, snapProof })).slice(0, MOST_RESULT_CHARS);
  return {
    ...about(
      job,
      attempt,
      own.map(([name, { sizeBytes, hash }]) => ({ name, sizeBytes, hash })),
    ),
    result: said,
    ...(attempt.failure === null ? {} : { message: printable(attempt.failure) }),
  };
}
