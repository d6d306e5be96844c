/**
 * A sector is one job's at a time: of two that want it the second waits until the first has ended and what that sent has come to
 * something; and who waits for something waits for what is so.
 */
import type { FakeChain } from './fake-chain.ts';
import type { JobRow, Reader } from './reader.ts';

type Broken = (promise: string, what: string) => void;
type Data = { readonly asked?: { readonly number?: number } };
type Known = { readonly update: object | null; readonly pieces: readonly { readonly filler?: boolean }[]; readonly unfit?: string };

const hasEnded = ({ state }: JobRow): boolean => state === 'Finished' || state === 'Aborted';
/** What it deletes keeps nobody waiting. */
const DELETES = /^(Delete|Collect)/;

/** Messages of a job that end with its sector changed, and may still land. */
function underWay(reader: Reader, chain: FakeChain, id: string): string[] {
  return reader.effects().flatMap(({ job, message_cid: cid, sender, nonce }) => {
    if (job !== id || cid === null || sender === null || nonce === null) return [];
    const changes = chain.wantOf(cid)?.method.startsWith('Prove') === true;
    const over = chain.receipt(cid) !== undefined || chain.nonceSpent({ sender, nonce, cid, signed: '', pushed: true });
    return changes && !over ? [cid] : [];
  });
}

/** At any moment. */
export function oneJobEach(reader: Reader, chain: FakeChain, broken: Broken): void {
  const bySector = new Map<number, JobRow[]>();
  for (const job of reader.jobs()) if (job.number !== null) bySector.set(job.number, [...(bySector.get(job.number) ?? []), job]);
  for (const [number, jobs] of bySector) {
    const live = jobs.filter((job) => !hasEnded(job));
    const [one, other] = live;
    if (one === undefined || jobs.length === 1) continue;
    if (other !== undefined) broken('one sector', `${one.id} and ${other.id} both have sector ${number}`);
    for (const { id, state } of jobs.filter(hasEnded))
      for (const cid of underWay(reader, chain, id))
        broken('one sector', `${one.id} has sector ${number}, and ${cid} of ${id}, which is ${state}, may still change it`);
  }
}

/** Whether what a job says it waits for, and only the world outside can bring, is still missing. */
export function waitsInEarnest(reader: Reader, job: JobRow): boolean {
  const open = new Set(reader.effects().flatMap(({ job: of, status, step }) => (status === 'open' && !DELETES.test(step) ? [of] : [])));
  const busy = (number: number | undefined): boolean =>
    reader.jobs().some((other) => other.id !== job.id && other.number === number && (!hasEnded(other) || open.has(other.id)));
  switch (job.error_code) {
    case 'sector_busy':
      return busy(reader.dataOf<Data>(job).asked?.number);
    case 'no_deals':
      return !reader.waitingPieces().some(({ reserved }) => reserved === 0);
    case 'no_candidate':
      return !reader
        .records()
        .some(({ number, storage, data }) => storage !== null && !busy(number) && canBeSnapped(JSON.parse(data) as Known));
    default:
      return false;
  }
}

const canBeSnapped = ({ update, pieces, unfit }: Known): boolean =>
  update === null && unfit === undefined && pieces.every(({ filler }) => filler === true);
