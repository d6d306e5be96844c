/**
 * A pre-commit that may be on the chain binds its sector: whatever a job makes anew must give the replica that it names, and so is
 * made with the ticket that it names. Judged by the message itself, from its signing to the end of the job.
 */
import type { FakeChain } from './fake-chain.ts';
import { ended } from './oracle-end.ts';
import type { Reader } from './reader.ts';

type Bound = {
  readonly preCommit?: { readonly cid: string; readonly exitCode?: number };
  readonly ticket?: { readonly epoch: number };
  readonly commR?: { readonly cid: string };
};

export function keepsReplica(reader: Reader, chain: FakeChain, broken: (promise: string, what: string) => void): void {
  for (const job of reader.jobs()) {
    const { id, state, plan } = job;
    if (plan !== 'sealer' || ended(state)) continue;
    const { preCommit, ticket, commR } = reader.dataOf<Bound>(job);
    if (preCommit === undefined || (preCommit.exitCode ?? 0) !== 0) continue;
    const want = chain.wantOf(preCommit.cid);
    if (want?.method !== 'PreCommitSectorBatch2') continue;
    const whose = `${id} in ${state}, whose pre-commit ${preCommit.cid} may be on the chain,`;
    if (ticket !== undefined && ticket.epoch !== want.ticketEpoch)
      broken('same replica', `${whose} has the ticket of epoch ${ticket.epoch}, the pre-commit that of ${want.ticketEpoch}`);
    if (commR !== undefined && commR.cid !== want.commR)
      broken('same replica', `${whose} has CommR ${commR.cid}, the pre-commit ${want.commR}`);
  }
}
