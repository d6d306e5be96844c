/** What the dev chain can be started with. */

/** A miner of this chain. */
export type GenesisMiner = {
  /** Actor id: 1000 is `t01000`. */
  readonly id: number;
  readonly sectorSizeBytes: number;
};

export type DevnetOptions = {
  /** Holds `devnet.sqlite` and `devnet.token`; made when missing. */
  readonly dataDir: string;
  /** 0: any free port. Always on 127.0.0.1. */
  readonly port: number;
  /** Length of an epoch; default 200. */
  readonly epochMs?: number;
  /** Epochs from a pre-commit to its seed; default 10. */
  readonly challengeDelayEpochs?: number;
  /** Path of `sealpool-prover`; without it no real proof can be verified, and such messages stay pending. */
  readonly proverPath?: string | undefined;
  /** Takes the marked proofs of the replay prover. Never in anything but tests. */
  readonly acceptReplay?: boolean;
  /** Default: `t01000` with 2 KiB sectors. Those that are not there yet are made. */
  readonly miners?: readonly GenesisMiner[];
  /** Hex seed of keys and randomness; default: random. Only read when the data folder is new. */
  readonly genesisSeed?: string;
  /** Starts with the clock standing still: epochs pass through `POST /control` only. */
  readonly paused?: boolean;
  /** One line about what the chain does; default: nothing is written. */
  readonly log?: (line: string) => void;
};

/** Rules of the miner actor, in epochs. Only the challenge delay differs from mainnet. */
export type Policy = {
  readonly challengeDelay: number;
  /** Oldest ticket at execution. */
  readonly maxTicketAge: number;
  /** Pre-commit to prove-commit. */
  readonly maxProveCommit: number;
  /** After which an unproven pre-commit is cleaned up, beyond `maxProveCommit`. */
  readonly cleanUpDelay: number;
  readonly minExpiration: number;
  readonly maxExpirationAhead: number;
  readonly maxLifetime: number;
};

/** Mainnet's rules with this challenge delay. */
export function policyWith(challengeDelay: number): Policy {
  return {
    challengeDelay,
    maxTicketAge: 3_780,
    maxProveCommit: 86_550,
    cleanUpDelay: 960,
    minExpiration: 518_400,
    maxExpirationAhead: 3_680_640,
    maxLifetime: 5 * 1_051_200,
  };
}

/** The first epoch: one finality and more has passed, so that tickets can be drawn at once. */
export const GENESIS_EPOCH = 5_000;
