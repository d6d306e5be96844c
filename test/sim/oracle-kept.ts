/** What a job keeps that was given up: as long as its pre-commit may be proven, nothing of it is deleted. Judged at each deletion. */
import type { FakeChain } from './fake-chain.ts';
import { PROVE_WITHIN, sectorKey } from './ledger.ts';
import type { Reader } from './reader.ts';

type Data = {
  readonly artifacts: Readonly<Record<string, { readonly key: string }>>;
  readonly preCommit?: { readonly cid: string };
};

/** An object goes now. */
export function goes(
  key: string,
  { reader, chain }: { readonly reader: Reader; readonly chain: FakeChain },
  broken: (promise: string, what: string) => void,
): void {
  for (const job of reader.jobs()) {
    if (job.plan !== 'sealer' || job.state !== 'Aborted' || job.number === null) continue;
    const { artifacts, preCommit } = reader.dataOf<Data>(job);
    // Without one of its own it knows nothing of what only a lost database sent.
    if (preCommit === undefined || !Object.values(artifacts).some((artifact) => artifact.key === key)) continue;
    const committed = chain.ledger.preCommits.get(sectorKey(job.miner, job.number));
    const left = committed === undefined ? 0 : committed.epoch + PROVE_WITHIN - chain.epoch;
    if (left > 0) broken('rescue', `${key}, kept for ${job.id}, goes ${left} epochs before its pre-commit expires`);
  }
}
