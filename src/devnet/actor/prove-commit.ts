/** ProveCommitSectors3 (method 34): the rules of the miner actor, in its order, with its exit codes. */
import { decodeProveCommitSectors3 } from '../../chain/params-decode.ts';
import { encodeActivationReturn, type PieceManifest, type ProveCommitSectors3 } from '../../chain/params.ts';
import { porepProofBytes } from '../../chain/proofs.ts';
import { setMinerFunds } from '../accounts.ts';
import { assignDeadline } from '../deadlines.ts';
import { type SealClaim, sealClaim } from '../proof-claim.ts';
import { findPreCommit, markActivated, type SectorRow } from '../sectors.ts';
import { ActorAbort, EXIT, illegal } from './abort.ts';
import { type ActorContext, decodeOrAbort, demandControl } from './context.ts';
import { initialPledge } from './economics.ts';
import { computedCommD, pieceBytes, piecesRefused } from './pieces.ts';

type Activation = {
  readonly index: number;
  readonly sector: SectorRow;
  readonly pieces: readonly PieceManifest[];
  readonly claim: SealClaim;
};

/** Executes the message or throws `ActorAbort`; the return names the sectors that failed by position. */
export function proveCommitSectors3(context: ActorContext, cbor: Uint8Array): Uint8Array {
  const params = decodeOrAbort(cbor, decodeProveCommitSectors3);
  demandControl(context);
  const activations = loadActivations(context, params);
  const failures: { index: number; exitCode: number }[] = [];
  const fail = (activation: Activation, exitCode: number, reason: string): void => {
    if (params.requireActivationSuccess) throw new ActorAbort(exitCode, reason);
    failures.push({ index: activation.index, exitCode });
  };

  const valid = activations.filter((activation) => {
    const due = activation.sector.preCommitEpoch + context.policy.maxProveCommit;
    if (context.epoch <= due) return true;
    fail(activation, EXIT.IllegalArgument, `commitment for sector ${activation.sector.number} is too late, it was due ${due}`);
    return false;
  });
  if (valid.length === 0) throw illegal('no valid precommits specified');

  const proven = valid.filter((activation) => {
    if (context.verdictOf(activation.claim)) return true;
    fail(activation, EXIT.IllegalArgument, `invalid proof for sector ${activation.sector.number} while requiring activation success`);
    return false;
  });
  if (proven.length === 0) throw illegal('no valid proofs specified');

  const active = proven.filter((activation) => {
    const reason = piecesRefused(activation.pieces);
    if (reason === undefined) {
      // A wrong CommD takes the whole message with it, whatever the other sectors are.
      checkCommD(activation, context.miner.sectorSizeBytes);
      return true;
    }
    fail(activation, EXIT.IllegalArgument, reason);
    return false;
  });
  if (active.length === 0) throw illegal('all data activations failed');
  activate(context, active);
  failures.sort((a, b) => a.index - b.index);
  return encodeActivationReturn({ successCount: active.length, failures });
}

/**
 * The claims a message makes about seals, so that they can be verified before it is executed. None when
 * the message would fail anyway.
 */
export function claimsOf(context: Omit<ActorContext, 'verdictOf'>, cbor: Uint8Array): SealClaim[] {
  try {
    const full: ActorContext = { ...context, verdictOf: () => false };
    return loadActivations(full, decodeOrAbort(cbor, decodeProveCommitSectors3)).map((activation) => activation.claim);
  } catch (error) {
    if (error instanceof ActorAbort) return [];
    throw error;
  }
}

function loadActivations(context: ActorContext, params: ProveCommitSectors3): Activation[] {
  const { ledger, miner } = context;
  const rows = params.sectors.map(({ sectorNumber }) => {
    const sector = findPreCommit(ledger, miner.id, BigInt(sectorNumber));
    if (sector === undefined) throw new ActorAbort(EXIT.NotFound, `loading precommits: sector ${sectorNumber} not found`);
    return sector;
  });
  if (rows.length === 0) throw illegal('no sectors to prove');
  if (new Set(rows.map((row) => row.number)).size !== rows.length) throw illegal('a sector is named twice');
  if ((params.proofs.length === 0) === (params.aggregateProof.length === 0)) {
    throw illegal('exactly one of sector proofs or aggregate proof must be non-empty');
  }
  if (params.proofs.length === 0) throw illegal('this dev chain verifies no aggregates; send one proof per sector');
  if (params.aggregateType !== null) throw illegal('aggregate proof type must be null with batched proofs');
  if (params.sectors.length !== params.proofs.length) {
    throw illegal(`mismatched lengths: ${params.sectors.length} sector activations, ${params.proofs.length} proofs`);
  }
  const wanted = porepProofBytes(miner.sectorSizeBytes);
  return rows.map((sector, index) => {
    const proof = params.proofs[index] as Uint8Array;
    if (proof.length !== wanted) throw illegal(`sector prove-commit proof of size ${proof.length}, expected ${wanted}`);
    const seedEpoch = sector.preCommitEpoch + context.policy.challengeDelay;
    if (context.epoch <= seedEpoch)
      throw new ActorAbort(EXIT.Forbidden, `too early to prove sector ${sector.number}, its seed is of epoch ${seedEpoch}`);
    return { index, sector, pieces: params.sectors[index]?.pieces ?? [], claim: sealClaim(ledger, sector, seedEpoch, proof) };
  });
}

function checkCommD({ sector, pieces }: Activation, sectorSizeBytes: number): void {
  const computed = computedCommD(pieces, sectorSizeBytes, sector.number);
  if (computed !== sector.commD) {
    throw illegal(
      `unsealed CID does not match pre-commit for sector ${sector.number}: computed ${computed}, pre-committed ${sector.commD}`,
    );
  }
}

function activate({ ledger, miner, epoch, policy }: ActorContext, active: readonly Activation[]): void {
  const pledge = initialPledge(ledger, miner.sectorSizeBytes);
  let locked = miner.locked;
  // By number, so that runs of sectors share a partition.
  for (const { sector, pieces } of [...active].sort((a, b) => a.sector.number - b.sector.number)) {
    if (sector.expiration - epoch < policy.minExpiration) throw illegal(`sector ${sector.number} has less than the minimum lifetime left`);
    locked += pledge - sector.deposit;
    const place = assignDeadline(ledger, policy, miner, epoch);
    markActivated(ledger, sector, { epoch, pledge, pieceBytes: pieceBytes(pieces), place });
  }
  if (miner.balance < locked) {
    throw new ActorAbort(
      EXIT.InsufficientFunds,
      `insufficient funds for aggregate initial pledge requirement: available ${miner.balance - miner.locked}`,
    );
  }
  setMinerFunds(ledger, miner.id, miner.balance, locked);
}
