/**
 * A pause that nothing called for breaks no other promise: the operator resumes, or gives the sector up. So an error that says our own
 * data or the chain is wrong needs a fault that could make it so, and no deposit is given up that could still be saved.
 */
import type { FakeChain } from './fake-chain.ts';
import { isProvable, sectorKey } from './ledger.ts';
import { ended } from './oracle-end.ts';
import type { EventRow, Reader } from './reader.ts';
import type { Fault } from './script.ts';

/** After these the chain, or files, may differ from what the database knows. */
const MAKES_CRITICAL: readonly Fault[] = ['restore', 'reorg', 'rot'];
/** Codes with which a sector whose pre-commit is out may be given up, and what has to have struck. */
const GIVEN_UP: Readonly<Record<string, readonly Fault[]>> = {
  // The life that was lost had finished it.
  proven_already: ['restore'],
  // The life that was lost had sealed another replica, or a reorg took back what a job had believed.
  chain_differs: ['restore', 'reorg'],
  // The sealed files, or what they were made from, went bad.
  replica_damaged: ['rot'],
};

type Broken = (promise: string, what: string) => void;
type Data = { readonly preCommit?: { readonly cid: string; readonly exitCode?: number } };

/** An event of a job, as it comes. */
export function criticalHasCause({ kind, job, detail }: EventRow, struck: ReadonlySet<Fault>, broken: Broken): void {
  if (kind !== 'error' || MAKES_CRITICAL.some((fault) => struck.has(fault))) return;
  const { category, code, message } = JSON.parse(detail) as { category?: string; code?: string; message?: string };
  // The word of an own runner that its inputs are bad.
  if (code === 'replica_damaged' && struck.has('runner_fails')) return;
  if (category === 'critical')
    broken('needless', `${job} is stopped as critical (${code}: ${message}), and nothing struck that could make it so`);
}

/** Before the operator gives up what is left. */
export function nothingToSave(reader: Reader, chain: FakeChain, struck: ReadonlySet<Fault>, broken: Broken): void {
  for (const job of reader.jobs()) {
    const { preCommit } = reader.dataOf<Data>(job);
    if (job.plan !== 'sealer' || ended(job.state) || preCommit === undefined || (preCommit.exitCode ?? 0) !== 0) continue;
    const committed = chain.ledger.preCommits.get(sectorKey(job.miner, job.number ?? -1));
    // Whatever is sent now lands in the next epoch at the earliest.
    const over = committed !== undefined && !isProvable(committed, chain.epoch + 1);
    const excused = (GIVEN_UP[job.error_code ?? ''] ?? []).some((fault) => struck.has(fault));
    if (!over && !excused)
      broken('needless', `${job.id} in ${job.state} is given up with its deposit over ${job.error_code}: ${job.error_message}`);
  }
}
