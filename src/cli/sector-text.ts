/** Sectors as text. */
import type { Event, SectorDetail, SectorView } from '../api/client.ts';
import { duration, plain, table, time } from './text.ts';

/** What the job waits for, in a few words. */
export function waitsFor(job: SectorView): string {
  const { waiting } = job;
  if (job.paused) return 'operator';
  return waiting.for === 'runner' || waiting.for === 'stage' ? `${waiting.for} ${waiting.stage}` : waiting.for;
}

export function sectorTable(jobs: readonly SectorView[]): string {
  if (jobs.length === 0) return 'no sectors; `sealpool sectors pledge --miner t01000` queues one';
  return table(
    ['sector', 'job', 'plan', 'state', 'paused', 'waits for', 'error'],
    jobs.map((job) => [job.sector, job.id, job.plan, job.state, job.paused ? 'yes' : '', waitsFor(job), job.error?.message ?? '']),
  );
}

/** One line of history. */
export function eventLine(event: Event): string {
  const step = event.event === null ? '' : ` ${event.event}`;
  const states = event.from === null && event.to === null ? '' : ` ${event.from ?? ''}${event.to === null ? '' : ` → ${event.to}`}`;
  const { detail } = event;
  const more = ['action', 'stage', 'status', 'runner', 'reason', 'message', 'failure', 'cid', 'code']
    .filter((key) => detail[key] !== undefined)
    .map((key) => `${key}=${plain(String(detail[key]))}`)
    .join(' ');
  return `${time(event.atMs)}  ${event.kind}${step}${states}${more === '' ? '' : `  ${more}`}  (${plain(event.actor)})`;
}

/** How long the message that is due has got, in epochs. */
function dueText({ job: { deadline }, epoch }: SectorDetail): string[] {
  if (deadline === null) return [];
  const left = epoch === null ? '' : `, ${deadline.epoch - epoch} from now on`;
  return [`its ${deadline.of === 'pre_commit' ? 'pre-commit' : 'prove-commit'} must land by epoch ${deadline.epoch}${left}`];
}

export function sectorDetailText(detail: SectorDetail): string {
  const { job, events, attempts, artifacts, messages } = detail;
  const head = [
    `${job.sector ?? 'no sector number yet'}  ${job.id}  plan ${job.plan}, generation ${job.generation}`,
    `state ${job.state}${job.paused ? ', paused' : ''}; waits for ${waitsFor(job)}${job.thread === null ? '' : `; sealing_thread ${job.thread}`}`,
    ...dueText(detail),
    ...(job.error === null ? [] : [`error (${job.error.category}, ${job.error.code}): ${plain(job.error.message)}`]),
  ];
  const parts = [head.join('\n')];
  if (messages.length > 0)
    parts.push(
      table(
        ['step', 'method', 'status', 'nonce', 'cid'],
        messages.map((m) => [m.step, m.method, m.status, m.nonce, m.cid]),
      ),
    );
  if (attempts.length > 0) {
    parts.push(
      table(
        ['attempt', 'stage', 'runner', 'status', 'took', 'note'],
        attempts.map((a) => [
          a.id,
          a.stage,
          a.runner,
          a.status,
          a.endedMs === null ? `${Math.round((a.fraction ?? 0) * 100)} %` : duration(a.endedMs - a.grantedMs),
          a.failure ?? a.note ?? '',
        ]),
      ),
    );
  }
  if (artifacts.length > 0)
    parts.push(
      table(
        ['artifact', 'bytes', 'made in', 'made by'],
        artifacts.map((a) => [a.name, a.sizeBytes, a.madeIn, a.madeBy]),
      ),
    );
  parts.push(events.map(eventLine).join('\n'));
  return parts.join('\n\n');
}
