/** PreCommitSectorBatch2 (method 28): the rules of the miner actor, in its order, with its exit codes. */
import { commitmentHex, isCommitment } from '../../chain/cids.ts';
import { commDOfPieces } from '../../chain/comm-d.ts';
import { decodePreCommitSectorBatch2 } from '../../chain/params-decode.ts';
import { sealProofInfoByNumber } from '../../chain/proofs.ts';
import { setMinerFunds } from '../accounts.ts';
import type { Policy } from '../options.ts';
import { findSector, insertPreCommit } from '../sectors.ts';
import { ActorAbort, EXIT, illegal } from './abort.ts';
import { type ActorContext, decodeOrAbort, demandControl } from './context.ts';
import { preCommitDeposit } from './economics.ts';

type PreCommit = ReturnType<typeof decodePreCommitSectorBatch2>[number];

/** Executes the message or throws `ActorAbort`. */
export function preCommitSectorBatch2(context: ActorContext, params: Uint8Array): Uint8Array {
  const sectors = decodeOrAbort(params, decodePreCommitSectorBatch2);
  if (sectors.length === 0) throw illegal('batch empty');
  const seen = new Set<bigint>();
  for (const sector of sectors) {
    const number = BigInt(sector.sectorNumber);
    if (seen.has(number)) throw illegal(`duplicate sector number ${number}`);
    seen.add(number);
    checkSector(sector, context.policy, context.epoch);
  }
  demandControl(context);

  const { ledger, miner, epoch } = context;
  const deposit = preCommitDeposit(miner.sectorSizeBytes);
  const total = deposit * BigInt(sectors.length);
  for (const sector of sectors) {
    if (sealProofInfoByNumber(sector.sealProof)?.sectorSizeBytes !== miner.sectorSizeBytes) {
      throw illegal(`sector Window PoSt proof type of seal proof ${sector.sealProof} must match the miner's`);
    }
  }
  const available = miner.balance - miner.locked;
  if (available < total) {
    throw new ActorAbort(EXIT.InsufficientFunds, `insufficient funds ${available} for pre-commit deposit: ${total}`);
  }
  setMinerFunds(ledger, miner.id, miner.balance, miner.locked + total);
  for (const sector of sectors) {
    const number = Number(sector.sectorNumber);
    if (findSector(ledger, miner.id, number) !== undefined) throw illegal(`sector number ${number} was allocated before`);
    insertPreCommit(ledger, {
      miner: miner.id,
      number,
      sealProof: sector.sealProof,
      commR: commitmentHex('sealed', sector.commR),
      commD: sector.commD === null ? commDOfPieces([], miner.sectorSizeBytes) : commitmentHex('unsealed', sector.commD),
      commDGiven: sector.commD !== null,
      ticketEpoch: sector.sealRandEpoch,
      expiration: sector.expiration,
      preCommitEpoch: epoch,
      deposit,
    });
  }
  return new Uint8Array();
}

function checkSector(sector: PreCommit, policy: Policy, epoch: number): void {
  const { sealProof, sectorNumber, sealRandEpoch } = sector;
  if (sealProofInfoByNumber(sealProof) === undefined) throw illegal(`unsupported seal proof type ${sealProof}`);
  if (BigInt(sectorNumber) > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw illegal(`sector number ${sectorNumber} is out of the range of this dev chain, 0..2^53-1`);
  }
  if (sector.dealIds.length > 0) throw illegal('deals must be activated at prove-commit, not listed in the pre-commit');
  if (!isCommitment('sealed', sector.commR)) throw illegal('sealed CID had wrong prefix');
  if (sealRandEpoch >= epoch) throw illegal(`seal challenge epoch ${sealRandEpoch} must be before now ${epoch}`);
  const earliest = epoch - policy.maxTicketAge;
  if (sealRandEpoch < earliest) throw illegal(`seal challenge epoch ${sealRandEpoch} too old, must be after ${earliest}`);
  if (sector.commD !== null && !isCommitment('unsealed', sector.commD)) throw illegal('unsealed CID had wrong prefix');
  checkExpiration(sector.expiration, policy, epoch);
}

/** Measured from the last epoch at which the sector may still be activated. */
function checkExpiration(expiration: number, policy: Policy, epoch: number): void {
  const activation = epoch + policy.maxProveCommit;
  if (expiration <= activation) throw illegal(`sector expiration ${expiration} must be after activation ${activation}`);
  if (expiration - activation < policy.minExpiration) {
    throw illegal(
      `invalid expiration ${expiration}, total sector lifetime (${expiration - activation}) must exceed ${policy.minExpiration} after activation ${activation}`,
    );
  }
  if (expiration > epoch + policy.maxExpirationAhead) {
    throw illegal(`invalid expiration ${expiration}, cannot be more than ${policy.maxExpirationAhead} past current epoch ${epoch}`);
  }
  if (expiration - activation > policy.maxLifetime) {
    throw illegal(`invalid expiration ${expiration}, total sector lifetime cannot exceed ${policy.maxLifetime}`);
  }
}
