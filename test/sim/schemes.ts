/**
 * Stories that chance meets too rarely: several things that go wrong together, each at its moment. Which one a seed
 * gets is drawn; the rest of its script goes on around it.
 */
import { EPOCH_MS } from './fake-chain.ts';
import { PROVE_WITHIN } from './ledger.ts';
import type { Rng } from './prng.ts';
import type { Action, Item } from './script.ts';

export type Scheme = (rng: Rng, parts: Parts) => Item[];
type Parts = {
  readonly states: readonly string[];
  /** How many jobs the script asks for, the last of them at about `askedMs`. */
  readonly jobs: number;
  readonly askedMs: number;
};

/** As long a fresh ticket is good, and a pre-commit can be proven, by the epochs of these stories. */
const TICKET_GOOD_MS = 2_880 * EPOCH_MS;
const PROVABLE_MS = PROVE_WITHIN * EPOCH_MS;

/** States that a message is sent in. */
const SENT_IN = ['PC2Done', 'C2Done', 'Persisted'];

const at = (state: string, afterMs: number, action: Action, job = 0): Item => ({ when: { job, state, afterMs }, ...action });

/** An operator's hand while a message is being signed: the wallet takes its time. */
const handAtSigning: Scheme = (rng, { states }) => {
  const sending = states.filter((state) => SENT_IN.includes(state));
  if (sending.length === 0) return [];
  const state = rng.pick(sending);
  const hand = rng.pick<Action>([
    { do: 'abort', job: 0, force: rng.chance(60) },
    { do: 'pause', job: 0, now: rng.chance(50) },
    { do: 'resume', job: 0, state: rng.pick(states), force: rng.chance(60) },
    { do: 'restart', awayMs: 1_000, crash: true },
  ]);
  return [
    at(state, 0, { do: 'port', port: 'chain.sign', how: 'delay', count: 1, ms: 20_000 }),
    at(state, rng.between(2_000, 18_000), hand),
  ];
};

/** Several sectors send from one address while the node drops or refuses what it was given. */
const crowd: Scheme = (rng, { jobs, askedMs }) => {
  const asked: Item = { when: { atMs: askedMs + 100 }, do: 'pledge', plan: 'sealer', count: 2 };
  // No block takes a message for a while: they gather.
  const gathering = [jobs, jobs + 1].map((job) => at('PC2Done', 0, { do: 'chain', what: 'null_rounds', depth: 4, lose: false }, job));
  const first = rng.between(500, 2_000);
  const lost = [jobs, jobs + 1].flatMap((job) =>
    Array.from({ length: 8 }, (_, turn) =>
      at('PC2Done', first + turn * 1_100, { do: 'chain', what: 'mempool_loss', depth: 1, lose: false }, job),
    ),
  );
  const refused = [jobs, jobs + 1].map((job) =>
    at('PC2Done', rng.between(500, 4_000), { do: 'port', port: 'chain.push', how: 'permanent', count: rng.between(2, 4), ms: 0 }, job),
  );
  return [asked, ...gathering, ...(rng.chance(50) ? lost : refused)];
};

/** Two rented hosts in league: one seals another replica, the other vouches for it. */
const league: Scheme = () => [
  at('PC1Done', 0, { do: 'stage', job: 0, how: 'wrong_comm_r' }),
  at('PC2Done', 0, { do: 'stage', job: 0, how: 'forged' }),
];

/** The chain takes a message back just after it was first seen to have landed. */
const takenBack: Scheme = (rng, { states }) => {
  const landed = ['Finished', 'PCLanded', 'Persisted'].filter((state) => state === 'Finished' || states.includes(state));
  return [at(rng.pick(landed), rng.between(0, 12_000), { do: 'chain', what: 'reorg', depth: rng.between(1, 4), lose: true })];
};

/** Back over a message that is out, or away from it; who does it without force pauses the job first. */
const backOver: Scheme = (rng, { states }) => {
  const out = ['PCSubmitted', 'PCLanded', 'PersistanceSubmitted', 'SeedAssigned', 'ProofSubmitted'].filter((state) =>
    states.includes(state),
  );
  if (out.length === 0) return [];
  const to = rng.pick(['TreeDBuilt', 'TicketAssigned', 'PC1Done', 'PC2Done']);
  const [state, afterMs, force] = [rng.pick(out), rng.between(0, 5_000), rng.chance(60)];
  const hand: Action = rng.chance(25) ? { do: 'abort', job: 0, force } : { do: 'resume', job: 0, state: to, force };
  const pause: Item[] = force ? [] : [at(state, afterMs, { do: 'pause', job: 0, now: true })];
  return [...pause, at(state, afterMs + 200, hand)];
};

/** Hours pass between the ticket and the chain, in some more than the ticket is good for. */
const oldTicket: Scheme = (rng, { states }) => {
  if (!states.includes('PCSubmitted')) return [];
  const state = rng.pick(['TreeDBuilt', 'TicketAssigned', 'PC1Done', 'PC2Done', 'PC2Done', 'PCSubmitted']);
  const ms = rng.between(TICKET_GOOD_MS - 600_000, TICKET_GOOD_MS + 1_200_000);
  // A wallet that takes its time holds a message that was good when it was asked for.
  const held: Item[] =
    state === 'PC2Done' && rng.chance(60) ? [at(state, 0, { do: 'port', port: 'chain.sign', how: 'delay', count: 1, ms: 20_000 })] : [];
  return [...held, at(state, rng.between(0, 12_000), { do: 'stall', ms })];
};

/** So many days pass that the pre-commit is over, or nearly, before it was proven. */
const lateProof: Scheme = (rng, { states }) => {
  if (!states.includes('PCSubmitted')) return [];
  const state = rng.pick([
    'PCSubmitted',
    'PCLanded',
    'Persisted',
    'PersistanceSubmitted',
    'SeedAssigned',
    'C1Done',
    'C2Done',
    'ProofSubmitted',
  ]);
  return [at(state, rng.between(0, 8_000), { do: 'stall', ms: rng.between(PROVABLE_MS - 500_000, PROVABLE_MS + 12_000_000) })];
};

/** What a seed plays besides what it drew; most play none. */
export function scheme(rng: Rng, parts: Parts): Item[] {
  const drawn = rng.weighted<Scheme>([
    [12, oldTicket],
    [6, lateProof],
    [37, () => []],
    [10, handAtSigning],
    [12, crowd],
    [7, league],
    [8, takenBack],
    [8, backOver],
  ]);
  return drawn(rng, parts);
}
