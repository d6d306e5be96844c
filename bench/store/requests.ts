/** What is asked: the listing with its filters, one sector, the workers, the history. */
import { BIG_MINER, ERRORS, MINERS } from './mix.ts';

/** A row of the table: one kind of request, asked with one or many paths. */
export interface Case {
  readonly name: string;
  readonly paths: readonly string[];
  /** Rounds over the paths, ours and the peer's (0: the peer is not asked). */
  readonly rounds: number;
  readonly peerRounds: number;
}

const SMALL_MINER = MINERS.at(-1) as string;

function listing(query: Readonly<Record<string, string>>): string {
  return `/v1/sectors?${new URLSearchParams(query).toString()}`;
}

function one(name: string, query: Readonly<Record<string, string>>): Case {
  return { name, paths: [listing(query)], rounds: 20, peerRounds: 3 };
}

/** Listings of which the peer's answers must be the same. `middle` and `end` are cursors. */
export function listings(middle: string, end: string): Case[] {
  return [
    one('newest 50', {}),
    one('newest 500', { limit: '500' }),
    one('500 from the middle', { limit: '500', cursor: middle }),
    one('the oldest 500', { limit: '500', cursor: end }),
    one('state=Finished', { state: 'Finished' }),
    one('state=Finished, from the middle', { state: 'Finished', cursor: middle }),
    one('state=PC1Done', { state: 'PC1Done' }),
    one('state=Aborted, 500', { state: 'Aborted', limit: '500' }),
    one('plan=unseal', { plan: 'unseal' }),
    one('a small miner', { miner: SMALL_MINER }),
    one('paused=true, 500', { paused: 'true', limit: '500' }),
    one('paused=false', { paused: 'false' }),
    one('error=ticket_expired', { error: 'ticket_expired' }),
    one('state=PC1Done of a small miner', { state: 'PC1Done', miner: SMALL_MINER }),
    one('paused with ticket_expired, of a small miner', { paused: 'true', error: 'ticket_expired', miner: SMALL_MINER }),
    one('plan=snapup of a small miner', { plan: 'snapup', miner: SMALL_MINER }),
    one('snapup in PC1Done (none)', { plan: 'snapup', state: 'PC1Done' }),
    one('Finished and paused (none)', { state: 'Finished', paused: 'true' }),
    one('Finished with an error (none)', { state: 'Finished', error: 'ticket_expired' }),
    one('a miner there is not', { miner: 't099999' }),
  ];
}

const CHOICES = {
  state: [undefined, 'Finished', 'PC1Done', 'Empty', 'Aborted'],
  plan: [undefined, 'sealer', 'unseal', 'rebuild'],
  miner: [undefined, BIG_MINER, SMALL_MINER],
  paused: [undefined, 'true', 'false'],
  error: [undefined, ERRORS[0], 'never_seen'],
};

/** Every combination of filter values, common and rare ones and ones that nothing has, from the start or a cursor. */
export function combinations(cursor: string | undefined): string[] {
  let all: Record<string, string>[] = [cursor === undefined ? {} : { cursor }];
  for (const [field, values] of Object.entries(CHOICES)) {
    all = all.flatMap((query) => values.map((value) => (value === undefined ? query : { ...query, [field]: value })));
  }
  return all.map(listing);
}
