/** The parts of Lotus' answers that we read. Fields we do not read may come and go. */
import { z } from 'zod';
import { AttoFil } from './message.ts';

export const CidLink = z.object({ '/': z.string() }).transform((link) => link['/']);
/** 32 bytes in base64, as 64 hex digits. */
export const Randomness = z
  .base64()
  .transform((text) => Buffer.from(text, 'base64').toString('hex'))
  .refine((hex) => hex.length === 64, 'randomness is 32 bytes');

/** `Timestamp`: Unix seconds at which its epoch began. A dev chain tells of no blocks. */
export const TipSet = z.object({ Height: z.number().int(), Blocks: z.array(z.object({ Timestamp: z.number().int() })).nullish() });

/** An account in the state of a tipset. */
export const Actor = z.object({ Nonce: z.number().int().nonnegative() });

export const NetworkParams = z.object({
  NetworkName: z.string(),
  BlockDelaySecs: z.number().positive(),
  PreCommitChallengeDelay: z.number().int().nonnegative(),
});

export const MinerInfo = z.object({
  Owner: z.string(),
  Worker: z.string(),
  ControlAddresses: z.array(z.string()).nullable(),
  SectorSize: z.number().int().positive(),
});
export type MinerInfo = z.infer<typeof MinerInfo>;

export const PreCommitOnChain = z.object({
  PreCommitDeposit: AttoFil,
  PreCommitEpoch: z.number().int(),
  Info: z.object({
    SealProof: z.number().int(),
    SectorNumber: z.number().int(),
    SealedCID: CidLink,
    SealRandEpoch: z.number().int(),
    Expiration: z.number().int(),
    UnsealedCid: CidLink.nullish(),
  }),
});
export type PreCommitOnChain = z.infer<typeof PreCommitOnChain>;

export const SectorOnChain = z.object({
  SectorNumber: z.number().int(),
  SealProof: z.number().int(),
  SealedCID: CidLink,
  Activation: z.number().int(),
  Expiration: z.number().int(),
  InitialPledge: AttoFil,
  SectorKeyCID: CidLink.nullish(),
});
export type SectorOnChain = z.infer<typeof SectorOnChain>;

export const SectorPartition = z.object({ Deadline: z.number().int().nonnegative(), Partition: z.number().int().nonnegative() });

/** The open deadline of a miner and the lengths that its deadlines follow. */
export const ProvingDeadline = z.object({
  CurrentEpoch: z.number().int(),
  PeriodStart: z.number().int(),
  WPoStProvingPeriod: z.number().int().positive(),
  WPoStChallengeWindow: z.number().int().positive(),
});

export const MessageLookup = z.object({
  Message: CidLink,
  Receipt: z.object({ ExitCode: z.number().int(), Return: z.base64().nullable(), GasUsed: z.number().int() }),
  Height: z.number().int(),
});
export type MessageLookup = z.infer<typeof MessageLookup>;

/** Lotus' bit field in JSON: run lengths, the first of unset bits. */
export const RunLengths = z.array(z.number().int().nonnegative());

/** Unproven sectors are live, neither active nor faulty; expired and terminated ones are not live. */
const Partition = z.object({ FaultySectors: RunLengths, LiveSectors: RunLengths, ActiveSectors: RunLengths });
export type Partition = z.infer<typeof Partition>;

/** Partitions of a deadline in order. */
export const Partitions = z.array(Partition).nullable();

/** Which of `numbers` are set in a bit field of run lengths. */
export function setBits(runs: readonly number[], numbers: readonly number[]): number[] {
  return numbers.filter((number) => {
    let end = 0;
    for (const [index, length] of runs.entries()) {
      end += length;
      if (number < end) return index % 2 === 1;
    }
    return false;
  });
}
