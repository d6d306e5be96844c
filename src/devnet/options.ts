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
  /** Length of a Window PoSt deadline's window; default 2 (mainnet 60). 48 of them make a proving period. */
  readonly challengeWindowEpochs?: number;
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

/** Rules of the miner actor, in epochs. Challenge delay and the lengths of Window PoSt differ from mainnet. */
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
  /** Deadlines in a proving period. */
  readonly postPeriodDeadlines: number;
  readonly postProvingPeriod: number;
  /** How long a deadline's window is open. It cannot be changed from one window before that on. */
  readonly postChallengeWindow: number;
  /** From the epoch whose randomness the Window PoSt answers to the opening. */
  readonly postChallengeLookback: number;
  /** From the last moment to declare a fault or a recovery to the opening. */
  readonly faultDeclarationCutoff: number;
};

const POST_PERIOD_DEADLINES = 48;

/**
 * Mainnet's rules with these lengths. What mainnet counts around a window of 60 epochs (lookback 20,
 * cutoff 70) keeps its proportion to the window.
 */
export function policyWith(challengeDelay: number, challengeWindow: number): Policy {
  const lookback = Math.ceil(challengeWindow / 3);
  return {
    challengeDelay,
    maxTicketAge: 3_780,
    maxProveCommit: 86_550,
    cleanUpDelay: 960,
    minExpiration: 518_400,
    maxExpirationAhead: 3_680_640,
    maxLifetime: 5 * 1_051_200,
    postPeriodDeadlines: POST_PERIOD_DEADLINES,
    postProvingPeriod: POST_PERIOD_DEADLINES * challengeWindow,
    postChallengeWindow: challengeWindow,
    postChallengeLookback: lookback,
    faultDeclarationCutoff: lookback + Math.ceil((challengeWindow * 5) / 6),
  };
}

/** The first epoch: one finality and more has passed, so that tickets can be drawn at once. */
export const GENESIS_EPOCH = 5_000;
