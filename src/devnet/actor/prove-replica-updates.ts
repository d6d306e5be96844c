/** ProveReplicaUpdates3 (method 35): the rules of the miner actor, in its order, with its exit codes. */
import { commitmentHex, isCommitment } from '../../chain/cids.ts';
import { deadlineIsMutable } from '../../chain/deadlines.ts';
import { decodeProveReplicaUpdates3 } from '../../chain/params-decode.ts';
import { encodeActivationReturn, type PieceManifest } from '../../chain/params.ts';
import { sealProofInfoByNumber } from '../../chain/proofs.ts';
import { setMinerFunds } from '../accounts.ts';
import { provingSchedule } from '../deadlines.ts';
import { type UpdateClaim, updateClaim } from '../proof-claim.ts';
import { findActivated, markUpgraded, type SectorRow, sectorsOfDeadline } from '../sectors.ts';
import { ActorAbort, EXIT, illegal } from './abort.ts';
import { type ActorContext, decodeOrAbort, demandControl } from './context.ts';
import { initialPledge } from './economics.ts';
import { computedCommD, pieceBytes, piecesRefused } from './pieces.ts';

type Params = ReturnType<typeof decodeProveReplicaUpdates3>;
type Update = {
  readonly index: number;
  readonly given: Params['updates'][number];
  readonly sector: SectorRow;
  readonly proof: Uint8Array | undefined;
};
type Claimed = Update & { readonly claim: UpdateClaim; readonly pieces: readonly PieceManifest[] };

const MAX_PROOF_BYTES = 4096;

/** Executes the message or throws `ActorAbort`; the return names the sectors that failed by position. */
export function proveReplicaUpdates3(context: ActorContext, cbor: Uint8Array): Uint8Array {
  const params = decodeOrAbort(cbor, decodeProveReplicaUpdates3);
  demandControl(context);
  const failures: { index: number; exitCode: number }[] = [];
  const fail = ({ index }: Update, refusal: ActorAbort): void => {
    if (params.requireActivationSuccess) throw refusal;
    failures.push({ index, exitCode: EXIT.IllegalArgument });
  };

  const proven = claimed(context, params, fail).filter((update) => {
    if (context.verdictOf(update.claim)) return true;
    fail(update, illegal(`invalid proof for sector ${update.sector.number} while requiring activation success`));
    return false;
  });
  if (proven.length === 0) throw illegal('no valid updates');

  const active = proven.filter((update) => {
    const reason = piecesRefused(update.pieces);
    if (reason !== undefined) fail(update, illegal(reason));
    return reason === undefined;
  });
  if (active.length === 0) throw illegal('all data activations failed');
  upgrade(context, active);
  failures.sort((a, b) => a.index - b.index);
  return encodeActivationReturn({ successCount: active.length, failures });
}

/** The claims a message makes about updates, to be verified before it is executed; none when it would fail anyway. */
export function claimsOfUpdates(context: Omit<ActorContext, 'verdictOf'>, cbor: Uint8Array): UpdateClaim[] {
  try {
    const params = decodeOrAbort(cbor, decodeProveReplicaUpdates3);
    const refuse = (_update: Update, refusal: ActorAbort): void => {
      if (params.requireActivationSuccess) throw refusal;
    };
    return claimed({ ...context, verdictOf: () => false }, params, refuse).map((update) => update.claim);
  } catch (error) {
    if (error instanceof ActorAbort) return [];
    throw error;
  }
}

/** The updates that are allowed, with what their proofs claim. */
function claimed(context: ActorContext, params: Params, fail: (update: Update, refusal: ActorAbort) => void): Claimed[] {
  checkProofFields(params);
  const updates = params.updates.map((given, index): Update => {
    const sector = findActivated(context.ledger, context.miner.id, BigInt(given.sectorNumber));
    if (sector === undefined) throw new ActorAbort(EXIT.NotFound, `sector ${given.sectorNumber} not found`);
    return { index, given, sector, proof: params.proofs[index] };
  });
  const seen = new Set<number>();
  const valid = updates.filter((update) => {
    const refusal = refusalOf(context, update, params.updateType, seen);
    if (refusal !== undefined) fail(update, refusal);
    return refusal === undefined;
  });
  if (params.updates.length !== params.proofs.length) {
    throw illegal(`mismatched lengths: ${params.updates.length} sector updates, ${params.proofs.length} proofs`);
  }
  return valid.map((update) => {
    const { given, sector } = update;
    const commD = computedCommD(given.pieces, context.miner.sectorSizeBytes, sector.number);
    const commitments = { commR: commitmentHex('sealed', given.newCommR), commD };
    return { ...update, pieces: given.pieces, claim: updateClaim(sector, commitments, update.proof as Uint8Array) };
  });
}

function checkProofFields({ proofs, aggregateProof, aggregateType }: Params): void {
  if ((proofs.length === 0) === (aggregateProof.length === 0)) {
    throw illegal('exactly one of sector proofs or aggregate proof must be non-empty');
  }
  if (proofs.length > 0 && aggregateType !== null) throw illegal('aggregate proof type must be empty when sector proofs are specified');
  if (proofs.length === 0) throw illegal('aggregate update proofs not yet supported');
}

/** Why this sector may not be upgraded by this message, or `undefined`. */
function refusalOf(context: ActorContext, update: Update, updateType: number, seen: Set<number>): ActorAbort | undefined {
  const { policy, epoch, miner, ledger } = context;
  const { given, sector, proof } = update;
  if (seen.has(sector.number)) return illegal(`skipping duplicate sector ${sector.number}`);
  seen.add(sector.number);
  if (proof !== undefined && proof.length > MAX_PROOF_BYTES) {
    return illegal(`update proof is too large (${proof.length}), skipping sector ${sector.number}`);
  }
  if (given.deadline >= policy.postPeriodDeadlines) {
    return illegal(`deadline ${given.deadline} not in range 0..${policy.postPeriodDeadlines}, skipping sector ${sector.number}`);
  }
  if (!isCommitment('sealed', given.newCommR)) return illegal(`new sealed CID had wrong prefix, skipping sector ${sector.number}`);
  if (!deadlineIsMutable(provingSchedule(policy, miner.id), given.deadline, epoch)) {
    return illegal(`cannot upgrade sectors in immutable deadline ${given.deadline}, skipping sector ${sector.number}`);
  }
  if (sector.place?.deadline !== given.deadline || sector.place.partition !== given.partition) {
    const partitions = sectorsOfDeadline(ledger, miner.id, given.deadline).map(({ place }) => place?.partition);
    const what = partitions.includes(given.partition)
      ? `sector ${sector.number} not a member of partition ${given.partition}, deadline ${given.deadline}`
      : `no partition ${given.partition} in deadline ${given.deadline}`;
    return new ActorAbort(EXIT.NotFound, what);
  }
  if (sector.post !== 'active') return illegal(`sector isn't active (it is ${sector.post}), skipping sector ${sector.number}`);
  if (sector.pieceBytes > 0) return illegal(`cannot update sector with non-zero data, skipping sector ${sector.number}`);
  const expected = sealProofInfoByNumber(sector.sealProof)?.updateProof;
  if (updateType !== expected) return illegal(`expected proof type ${expected}, was ${updateType}`);
  return undefined;
}

function upgrade({ ledger, miner, epoch }: ActorContext, updates: readonly Claimed[]): void {
  const current = initialPledge(ledger, miner.sectorSizeBytes);
  let missing = 0n;
  for (const { sector, claim, pieces } of updates) {
    const before = sector.pledge ?? 0n;
    // A pledge never falls.
    const pledge = before > current ? before : current;
    missing += pledge - before;
    markUpgraded(ledger, sector, { epoch, pledge, pieceBytes: pieceBytes(pieces), commR: claim.commRNew, commD: claim.commDNew });
  }
  const available = miner.balance - miner.locked;
  if (available < missing) {
    throw new ActorAbort(
      EXIT.InsufficientFunds,
      `insufficient funds for aggregate initial pledge requirement ${missing}, available: ${available}`,
    );
  }
  setMinerFunds(ledger, miner.id, miner.balance, miner.locked + missing);
}
