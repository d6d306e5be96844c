/**
 * A ticket is good for so many epochs. While its pre-commit is not out, no stage is begun with one that is over, and no pre-commit
 * is signed with it: judged by the clock and the message itself. Bytes that were signed in time may go out later.
 */
import { type FakeChain, epochAt } from './fake-chain.ts';
import { ticketGood } from './ledger.ts';
import type { EventRow, Reader } from './reader.ts';

/** Stages from the ticket to the pre-commit. */
const ON_THE_WAY: ReadonlySet<string> = new Set(['PC1', 'PC2', 'C1', 'Verify']);
/** A node that lags tells an epoch so far back. */
const LAG_EPOCHS = 10;

type Data = {
  readonly ticket?: { readonly epoch: number };
  readonly preCommit?: { readonly exitCode?: number };
};
type Detail = { readonly step?: string; readonly cid?: string; readonly stage?: string; readonly status?: string };

export function ticketHolds(event: EventRow, reader: Reader, chain: FakeChain, broken: (promise: string, what: string) => void): void {
  if (event.kind !== 'message' && event.kind !== 'attempt') return;
  const { step, cid = '', stage = '', status } = JSON.parse(event.detail) as Detail;
  const epoch = epochAt(event.at_ms) - LAG_EPOCHS;
  if (event.kind === 'message' && step === 'SubmitPC') {
    const want = chain.wantOf(cid);
    if (want?.method === 'PreCommitSectorBatch2' && !ticketGood(want.ticketEpoch, epoch))
      broken('ticket', `pre-commit ${cid} of ${event.job} was signed in epoch ${epoch} with the ticket of epoch ${want.ticketEpoch}`);
  }
  const job = status === 'running' && ON_THE_WAY.has(stage) ? reader.jobs().find(({ id }) => id === event.job) : undefined;
  if (job?.plan !== 'sealer') return;
  const { ticket, preCommit } = reader.dataOf<Data>(job);
  const out = preCommit !== undefined && (preCommit.exitCode ?? 0) === 0;
  if (ticket !== undefined && !out && !ticketGood(ticket.epoch, epoch))
    broken('ticket', `${stage} of ${job.id} was begun in epoch ${epoch} with the ticket of epoch ${ticket.epoch}`);
}
