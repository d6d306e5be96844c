/** What a method of the miner actor may see and change. */
import type { Account, Miner } from '../accounts.ts';
import type { Ledger } from '../ledger.ts';
import type { Policy } from '../options.ts';
import type { ProofClaim } from '../proof-claim.ts';
import { ActorAbort, EXIT } from './abort.ts';

export type ActorContext = {
  readonly ledger: Ledger;
  readonly policy: Policy;
  /** The epoch the message executes in. */
  readonly epoch: number;
  readonly caller: Account;
  /** As it is after the message's value arrived. */
  readonly miner: Miner;
  /** Whether the claim's proof holds. Throws `MissingVerdict` when nobody has looked yet. */
  readonly verdictOf: (claim: ProofClaim) => boolean;
};

/** A proof has to be verified before this message can be executed: it goes back to the mempool. */
export class MissingVerdict extends Error {
  readonly claim: ProofClaim;

  constructor(claim: ProofClaim) {
    super(`nobody has judged the ${claim.kind} proof of sector ${claim.number} of ${claim.miner}`);
    this.claim = claim;
  }
}

/** Only owner, worker and control addresses may commit sectors. */
export function demandControl(context: ActorContext): void {
  const { caller, miner } = context;
  if (caller.id !== miner.owner && caller.id !== miner.worker) {
    throw new ActorAbort(EXIT.Forbidden, `caller t0${caller.id} is not one of owner, worker and control addresses`);
  }
}

/** Decodes parameters; anything odd is a serialization error. */
export function decodeOrAbort<T>(params: Uint8Array, decode: (cbor: Uint8Array) => T): T {
  try {
    return decode(params);
  } catch (error) {
    throw new ActorAbort(EXIT.Serialization, `failed to decode parameters: ${error instanceof Error ? error.message : String(error)}`);
  }
}
