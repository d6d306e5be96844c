/**
 * What an operator's hand may do to a job while messages of it are out, and what its answer says of them. A message is out by the
 * chain itself, whatever the job's row has; of one that only a lost database signed the row's word counts.
 */
import type { FakeChain } from './fake-chain.ts';
import type { Reader } from './reader.ts';

/** An operation that was answered. */
export type Hand = {
  readonly id: string;
  /** Its row in the same transaction, before anything was done. */
  readonly before: { readonly state: string; readonly plan: string; readonly data: object };
  readonly state: string;
  /** The state it was to go on from; undefined: the one it was in, or none. */
  readonly to: string | undefined;
  readonly force: boolean;
  readonly notice: string | null;
};

type Tables = Readonly<Record<string, Readonly<Record<string, unknown>>>>;
type Parts = { readonly reader: Reader; readonly chain: FakeChain; readonly tables: Tables };

const FIELDS = { preCommit: 'PreCommitSectorBatch2', proveCommit: 'ProveCommitSectors3', replicaUpdate: 'ProveReplicaUpdates3' } as const;

/** Messages of the job that landed or may still land, by their methods. */
function outOf({ reader, chain }: Parts, id: string): Map<string, string> {
  const out = new Map<string, string>();
  for (const { job, message_cid: cid, sender, nonce } of reader.effects()) {
    if (job !== id || cid === null || sender === null || nonce === null) continue;
    const receipt = chain.receipt(cid);
    const dead = receipt === undefined ? chain.nonceSpent({ sender, nonce, cid, signed: '', pushed: true }) : receipt.exitCode !== 0;
    if (!dead) out.set(cid, chain.wantOf(cid)?.method ?? '');
  }
  return out;
}

/** Methods of messages that the row has and that did not fail. */
function knownOf({ data }: Hand['before']): string[] {
  const all = data as Partial<Record<string, { exitCode?: number }>>;
  return Object.entries(FIELDS).flatMap(([field, method]) =>
    all[field] !== undefined && (all[field].exitCode ?? 0) === 0 ? [method] : [],
  );
}

/** Without force no deposit is given up and no ticket left; with it, whatever is out is named. Answers the messages that the answer names. */
export function handJudged(parts: Parts, hand: Hand, broken: (promise: string, what: string) => void): readonly string[] {
  const { id, before, force, to } = hand;
  const named = [...(hand.notice ?? '').matchAll(/\bbafy\w+/g)].map(([cid]) => cid);
  const out = outOf(parts, id);
  const live = new Set([...out.values(), ...knownOf(before)]);
  const states = Object.keys(parts.tables[before.plan] ?? {});
  const givenUp = hand.state === 'Aborted';
  const leaves =
    !givenUp &&
    to !== undefined &&
    to !== before.state &&
    live.has(FIELDS.preCommit) &&
    states.indexOf(to) < states.indexOf('TicketAssigned');
  if (!givenUp && !leaves) return named;
  const what = `${id} in ${before.state} was ${givenUp ? 'given up' : `put back to ${to}`}`;
  if (live.size > 0 && !force) broken('force', `${what} without force, and ${[...live].join(' and ')} of it may be on the chain`);
  for (const [cid, method] of out)
    if (!named.includes(cid)) broken('notice', `${what}, and nobody was told that its ${method} ${cid} is out: ${hand.notice}`);
  return named;
}
