/** Miners, sectors, balances. */
import { z } from 'zod';
import { commitmentCid } from '../../chain/cids.ts';
import { partitionSectors } from '../../chain/proofs.ts';
import { accountStateAt, allAccounts, createAccount, findAccount, findMiner, type Miner } from '../accounts.ts';
import { initialPledge, preCommitDeposit, withMargin } from '../actor/economics.ts';
import type { Ledger } from '../ledger.ts';
import { allocatedNumbers, findEverActivated, findPreCommit, type SectorRow } from '../sectors.ts';
import { runLengths } from './bit-field.ts';
import { epochOfKey } from './chain-methods.ts';
import { HeadKey, IdAddress, method, type RpcMethod, RpcRefused, SectorNumber, TipsetKey } from './method.ts';

const SectorParams = z.tuple([IdAddress, SectorNumber, HeadKey]);
/** Window PoSt proof types V1_1 by sector size. */
const WINDOW_POST: Readonly<Record<number, number>> = { [2 ** 11]: 10, [2 ** 23]: 11, [2 ** 29]: 12, [2 ** 35]: 13, [2 ** 36]: 14 };

export const STATE_METHODS: Readonly<Record<string, RpcMethod>> = {
  StateMinerInfo: method(z.tuple([IdAddress, HeadKey]), ({ ledger }, [address]) => minerInfo(needMiner(ledger, address.text))),
  StateAccountKey: method(z.tuple([z.string(), HeadKey]), ({ ledger }, [address]) => needAccount(ledger, address).address),
  StateGetActor: method(z.tuple([z.string(), TipsetKey]), ({ ledger }, [address, key]) => accountActor(ledger, address, key)),
  StateLookupID: method(z.tuple([z.string(), HeadKey]), ({ ledger }, [address]) => `t0${needAccount(ledger, address).id}`),
  StateMinerAvailableBalance: method(z.tuple([IdAddress, HeadKey]), ({ ledger }, [address]) => {
    const miner = needMiner(ledger, address.text);
    return (miner.balance - miner.locked).toString();
  }),
  StateSectorPreCommitInfo: method(SectorParams, ({ ledger }, [address, number]) => {
    const sector = findPreCommit(ledger, needMiner(ledger, address.text).id, number);
    return sector === undefined ? null : preCommitOnChain(sector);
  }),
  StateSectorGetInfo: method(SectorParams, ({ ledger }, [address, number]) => {
    const sector = findEverActivated(ledger, needMiner(ledger, address.text).id, number);
    return sector === undefined ? null : sectorOnChain(sector);
  }),
  StateMinerAllocated: method(z.tuple([IdAddress, HeadKey]), ({ ledger }, [address]) =>
    runLengths(allocatedNumbers(ledger, needMiner(ledger, address.text).id)),
  ),
  StateMinerPreCommitDepositForPower: method(
    z.tuple([IdAddress, z.object({ SealProof: z.number().int(), Expiration: z.number().int() }), HeadKey]),
    ({ ledger }, [address]) => withMargin(preCommitDeposit(needMiner(ledger, address.text).sectorSizeBytes)).toString(),
  ),
  StateMinerInitialPledgeForSector: method(
    z.tuple([z.number().int(), z.number().int().positive(), z.number().int().nonnegative(), HeadKey]),
    ({ ledger }, [duration, sizeBytes]) => {
      if (duration <= 0) throw new RpcRefused(`sector duration must be greater than 0, it is ${duration}`);
      return withMargin(initialPledge(ledger, sizeBytes)).toString();
    },
  ),
  WalletBalance: method(z.tuple([z.string()]), ({ ledger }, [address]) => (findAccount(ledger, address)?.balance ?? 0n).toString()),
  WalletList: method(z.tuple([]), ({ ledger }) => allAccounts(ledger).map((account) => account.address)),
  WalletNew: method(z.tuple([z.literal('secp256k1')]), ({ ledger }) => ledger.transaction(() => createAccount(ledger, 0n)).address),
};

/** An account, or a refusal that says so. */
export function needAccount(ledger: Ledger, address: string): NonNullable<ReturnType<typeof findAccount>> {
  const account = findAccount(ledger, address);
  if (account === undefined) throw new RpcRefused(`there is no account ${address}: actor not found`);
  return account;
}

/** An account as it is in the state of a tipset: before that tipset's own messages. */
function accountActor(ledger: Ledger, address: string, key: readonly string[] | null): unknown {
  const account = needAccount(ledger, address);
  const epoch = epochOfKey(ledger, key);
  const state = epoch === ledger.epoch() ? account : accountStateAt(ledger, account.id, epoch);
  if (state === undefined) throw new RpcRefused(`load state tree: what ${address} had at epoch ${epoch} was not kept: actor not found`);
  return { Nonce: state.nonce, Balance: state.balance.toString(), DelegatedAddress: account.address };
}

/** A miner, or a refusal that says so. */
export function needMiner(ledger: Ledger, address: string): Miner {
  const miner = findMiner(ledger, address);
  if (miner === undefined) throw new RpcRefused(`there is no miner ${address}: actor not found`);
  return miner;
}

function minerInfo(miner: Miner): unknown {
  return {
    Owner: `t0${miner.owner}`,
    Worker: `t0${miner.worker}`,
    NewWorker: '<empty>',
    ControlAddresses: [],
    WorkerChangeEpoch: -1,
    PeerId: null,
    Multiaddrs: [],
    WindowPoStProofType: WINDOW_POST[miner.sectorSizeBytes],
    SectorSize: miner.sectorSizeBytes,
    WindowPoStPartitionSectors: partitionSectors(miner.sectorSizeBytes),
    ConsensusFaultElapsed: -1,
  };
}

function preCommitOnChain(sector: SectorRow): unknown {
  return {
    PreCommitDeposit: sector.deposit.toString(),
    PreCommitEpoch: sector.preCommitEpoch,
    Info: {
      SealProof: sector.sealProof,
      SectorNumber: sector.number,
      SealedCID: link('sealed', sector.commR),
      SealRandEpoch: sector.ticketEpoch,
      DealIDs: [],
      Expiration: sector.expiration,
      UnsealedCid: sector.commDGiven ? link('unsealed', sector.commD) : null,
    },
  };
}

function sectorOnChain(sector: SectorRow): unknown {
  return {
    SectorNumber: sector.number,
    SealProof: sector.sealProof,
    SealedCID: link('sealed', sector.commR),
    DeprecatedDealIDs: [],
    Activation: sector.activationEpoch,
    Expiration: sector.expiration,
    DealWeight: (BigInt(sector.pieceBytes) * BigInt(sector.expiration - (sector.powerBaseEpoch ?? 0))).toString(),
    VerifiedDealWeight: '0',
    InitialPledge: (sector.pledge ?? 0n).toString(),
    ExpectedDayReward: null,
    ExpectedStoragePledge: null,
    PowerBaseEpoch: sector.powerBaseEpoch,
    ReplacedDayReward: null,
    SectorKeyCID: sector.sectorKey === null ? null : link('sealed', sector.sectorKey),
    // Simple quality-adjusted power, as every sector of today.
    Flags: 1,
    DailyFee: '0',
  };
}

function link(kind: 'sealed' | 'unsealed', hex: string): { '/': string } {
  return { '/': commitmentCid(kind, hex).toString() };
}
