/**
 * Whether a sector can be upgraded now: the miner actor wants it without data, proven by a Window PoSt, and
 * its deadline mutable when the message executes. What only needs time says how much.
 */
import type { MessageWant } from '../scheduler/effects.ts';
import { anyCommitment } from './cids.ts';
import { deadlineIsMutable, nextWindow, type ProvingSchedule } from './deadlines.ts';
import { ChainError } from './errors.ts';
import { ProvingDeadline, type SectorOnChain } from './lotus-answers.ts';
import type { LotusRpc } from './lotus-rpc.ts';
import { sealProofInfoByNumber } from './proofs.ts';
import { type PostState, sectorInfo, sectorPlace } from './sector-state.ts';

type UpdateWant = Extract<MessageWant, { method: 'ProveReplicaUpdates3' }>;

/** Epochs that a message may need to land, in which the deadline must stay mutable. */
const LANDING_EPOCHS = 10;

/**
 * The sector and its place, when its upgrade may be sent now. Throws `sector_unproven`, `sector_faulty` and
 * `deadline_immutable` (temporary, with `waitEpochs`), `no_sector`, `sector_upgraded` and
 * `other_update_proof` (permanent).
 */
export async function updatableSector(
  rpc: LotusRpc,
  want: UpdateWant,
): Promise<{ onChain: SectorOnChain; deadline: number; partition: number; epoch: number }> {
  const { miner, number } = want;
  const onChain = await sectorInfo(rpc, miner, number);
  demandUnchanged(onChain, want);
  const [place, proving] = await Promise.all([
    sectorPlace(rpc, miner, number),
    rpc.call('StateMinerProvingDeadline', [miner, []], ProvingDeadline),
  ]);
  const { CurrentEpoch: epoch } = proving;
  const schedule: ProvingSchedule = {
    periodStart: proving.PeriodStart,
    provingPeriod: proving.WPoStProvingPeriod,
    challengeWindow: proving.WPoStChallengeWindow,
  };
  demandProven(want, place, nextWindow(schedule, place.deadline, epoch).close - epoch);
  demandMutable(want, place.deadline, schedule, epoch);
  return { onChain, deadline: place.deadline, partition: place.partition, epoch };
}

function demandUnchanged(onChain: SectorOnChain | null, want: UpdateWant): asserts onChain is SectorOnChain {
  const { miner, number } = want;
  if (onChain === null) throw noSector(want);
  const key = onChain.SectorKeyCID ?? null;
  if (key !== null) {
    const ours = onChain.SealedCID === anyCommitment('sealed', want.commR).toString();
    const what = ours ? 'with this very update' : `with another update, ${onChain.SealedCID}`;
    throw new ChainError(
      'permanent',
      'sector_upgraded',
      `sector ${number} of ${miner} was upgraded before, ${what}; a sector is upgraded once, so abort this job`,
    );
  }
  const expected = sealProofInfoByNumber(onChain.SealProof)?.updateProof;
  if (expected !== want.updateProof) {
    throw new ChainError(
      'permanent',
      'other_update_proof',
      `sector ${number} of ${miner} has seal proof ${onChain.SealProof} on chain, whose update proof is ${expected ?? 'none'}, ours is ${want.updateProof}; look whether the sector's record names the right seal proof`,
    );
  }
}

function noSector({ miner, number }: UpdateWant): ChainError {
  return new ChainError(
    'permanent',
    'no_sector',
    `the chain has no active sector ${number} of ${miner}; look whether it expired or was terminated`,
  );
}

function demandProven(want: UpdateWant, { deadline, post }: { deadline: number; post: PostState }, untilClose: number): void {
  if (post === 'active') return;
  if (post === 'dead') throw noSector(want);
  const { miner, number } = want;
  const [code, what] =
    post === 'faulty'
      ? ['sector_faulty', 'is faulty: its last Window PoSt was missed']
      : ['sector_unproven', 'was not proven yet: its first Window PoSt is still to come'];
  throw new ChainError(
    'temporary',
    code,
    `sector ${number} of ${miner} ${what}; the window of its deadline ${deadline} closes in ${untilClose} epochs, the update waits for that`,
    { waitEpochs: untilClose },
  );
}

function demandMutable({ miner, number }: UpdateWant, deadline: number, schedule: ProvingSchedule, epoch: number): void {
  // Nodes estimate in the head's own epoch; it executes in the next at the earliest. Where windows are short, as on the dev chain, so is the time to land.
  const landing = Math.min(LANDING_EPOCHS, schedule.challengeWindow);
  if (deadlineIsMutable(schedule, deadline, epoch) && deadlineIsMutable(schedule, deadline, epoch + landing)) return;
  const waitEpochs = nextWindow(schedule, deadline, epoch).close - epoch;
  throw new ChainError(
    'temporary',
    'deadline_immutable',
    `deadline ${deadline} of ${miner}, which sector ${number} is in, is being proven or is next, and must not change for ${waitEpochs} epochs; the update waits for that`,
    { waitEpochs },
  );
}
