/**
 * A sector is one job's at a time: of two that want it the second waits until the first has ended and what that sent has come to
 * something; and who waits for something waits for what is so.
 */
import type { FakeChain } from './fake-chain.ts';
import type { JobRow, Reader } from './reader.ts';

type Broken = (promise: string, what: string) => void;
type Message = { readonly cid: string; readonly landedEpoch?: number };
type Data = { readonly asked?: { readonly number?: number }; readonly proveCommit?: Message; readonly replicaUpdate?: Message };
type Known = { readonly update: object | null; readonly pieces: readonly { readonly filler?: boolean }[]; readonly unfit?: string };

const hasEnded = ({ state }: JobRow): boolean => state === 'Finished' || state === 'Aborted';
/** What it deletes keeps nobody waiting. */
const DELETES = /^(Delete|Collect)/;

/** The message of a job that changes its sector, where it may still land and nobody has seen it do so. */
function underWay(reader: Reader, chain: FakeChain, job: JobRow): string | undefined {
  const { proveCommit, replicaUpdate } = reader.dataOf<Data>(job);
  const message = replicaUpdate ?? proveCommit;
  if (message === undefined || message.landedEpoch !== undefined) return undefined;
  const signed = reader.effects().find(({ message_cid: cid }) => cid === message.cid);
  if (signed === undefined || signed.sender === null || signed.nonce === null) return undefined;
  const { sender, nonce } = signed;
  return chain.nonceSpent({ sender, nonce, cid: message.cid, signed: '', pushed: true }) ? undefined : message.cid;
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
    for (const ended of jobs.filter(hasEnded)) {
      const cid = underWay(reader, chain, ended);
      if (cid !== undefined)
        broken('one sector', `${one.id} has sector ${number}, and ${cid} of ${ended.id}, which is ${ended.state}, may still change it`);
    }
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
