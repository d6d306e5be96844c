/**
 * What is known of a sector at the end, in the database and in the `sector.json` beside its files, is what the chain was told: ticket,
 * CommR and pieces. A rebuild starts from nothing else.
 */
import type { MessageWant } from '../../src/scheduler/effects.ts';
import { pathOf } from './existing.ts';
import type { FakeChain } from './fake-chain.ts';
import { sectorKey } from './ledger.ts';
import type { MinerDisks } from './miner-disks.ts';
import type { JobRow, Reader } from './reader.ts';
import { commDOf, randomness } from './replica.ts';

type Piece = { readonly cid: string; readonly filler?: boolean };
/** What the record and `sector.json` have in common. */
type Known = {
  readonly ticket?: { readonly epoch: number; readonly value: string | null } | null;
  readonly commR?: { readonly cid: string } | null;
  readonly pieces?: readonly Piece[] | null;
  readonly update?: { readonly commR: { readonly cid: string }; readonly pieces: readonly Piece[] } | null;
};
type Parts = { readonly reader: Reader; readonly disks: MinerDisks; readonly chain: FakeChain; readonly spoilt: ReadonlySet<string> };
type Broken = (promise: string, what: string) => void;

/** Of a job that is Finished, and whose sector the chain has. */
export function recordTrue({ reader, disks, chain, spoilt }: Parts, job: JobRow, broken: Broken): void {
  const { miner, plan } = job;
  const number = job.number ?? -1;
  const record = reader.records().find((row) => row.miner === miner && row.number === number);
  if (record === undefined) {
    broken('record', `${job.id} is Finished, and nothing is known of sector ${number}`);
    return;
  }
  const compare = (known: Known, what: string): void => {
    for (const wrong of differences(known, plan, chain, sectorKey(miner, number)))
      broken('record', `${what} of sector ${number} of ${miner}: ${wrong}`);
  };
  compare(JSON.parse(record.data) as Known, 'the record');
  const disk = disks.find(record.storage ?? '');
  const path = pathOf(miner, number, 'cache/sector.json');
  const json = disk?.files.get(path);
  if (disk !== undefined && json !== undefined && !spoilt.has(`${disk.id}:${path}`)) compare(JSON.parse(json) as Known, 'sector.json');
}

function* differences(known: Known, plan: string, chain: FakeChain, key: string): Generator<string> {
  const sector = chain.ledger.sectors.get(key);
  const commR = sector?.keyCommR ?? sector?.commR;
  if (known.commR?.cid !== commR) yield `CommR is ${known.commR?.cid}, the chain has ${commR}`;
  const sealed = landed(chain, key, 'PreCommitSectorBatch2');
  if (sealed !== undefined) {
    const { ticketEpoch, commD } = sealed;
    if (known.ticket?.epoch !== ticketEpoch || known.ticket.value !== randomness('ticket', ticketEpoch))
      yield `the ticket is ${JSON.stringify(known.ticket)}, the pre-commit has that of epoch ${ticketEpoch}`;
    if (commDOf(known.pieces ?? []).cid !== (commD ?? commDOf([]).cid)) yield `the pieces do not make the pre-commit's CommD`;
  }
  const update = landed(chain, key, 'ProveReplicaUpdates3');
  if (plan === 'sealer' || update === undefined) return;
  if (known.update?.commR.cid !== update.commR) yield `the update has CommR ${known.update?.commR.cid}, its message ${update.commR}`;
  if (commDOf(known.update?.pieces ?? []).cid !== commDOf(update.pieces).cid) yield `the update's pieces are not those of its message`;
}

/** The message of this kind that did its work for the sector, as it was signed. */
function landed<M extends MessageWant['method']>(
  chain: FakeChain,
  key: string,
  method: M,
): Extract<MessageWant, { method: M }> | undefined {
  for (const { sent } of chain.pushes) {
    const { want, message } = sent;
    if (want?.method !== method || sectorKey(want.miner, want.number) !== key) continue;
    if (chain.receipt(message.cid)?.exitCode === 0) return want as Extract<MessageWant, { method: M }>;
  }
  return undefined;
}
