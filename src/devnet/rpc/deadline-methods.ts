/** Deadlines, partitions and Window PoSt, in Lotus' shapes. */
import { z } from 'zod';
import { nextWindow, periodStartAt } from '../../chain/deadlines.ts';
import { openDeadline, provingSchedule } from '../deadlines.ts';
import type { Policy } from '../options.ts';
import { findEverActivated, type SectorRow, sectorsOfDeadline } from '../sectors.ts';
import { runLengths } from './bit-field.ts';
import { HeadKey, IdAddress, method, type RpcMethod, RpcRefused, SectorNumber } from './method.ts';
import { needMiner } from './state-methods.ts';

const MinerParams = z.tuple([IdAddress, HeadKey]);

export const DEADLINE_METHODS: Readonly<Record<string, RpcMethod>> = {
  StateSectorPartition: method(z.tuple([IdAddress, SectorNumber, HeadKey]), ({ ledger }, [address, number]) => {
    const place = findEverActivated(ledger, needMiner(ledger, address.text).id, number)?.place;
    if (place === undefined || place === null) throw new RpcRefused(`sector ${number} not found in any partition`);
    return { Deadline: place.deadline, Partition: place.partition };
  }),
  StateMinerProvingDeadline: method(MinerParams, ({ ledger, policy }, [address]) =>
    provingDeadline(policy, needMiner(ledger, address.text).id, ledger.epoch()),
  ),
  StateMinerDeadlines: method(MinerParams, ({ ledger, policy }, [address]) => {
    needMiner(ledger, address.text);
    // Posts are taken as a window closes, so that none of the open one is in; none can be disputed.
    const empty = { PostSubmissions: runLengths([]), DisputableProofCount: 0, DailyFee: '0' };
    return Array.from({ length: policy.postPeriodDeadlines }, () => empty);
  }),
  StateMinerPartitions: method(z.tuple([IdAddress, SectorNumber, HeadKey]), ({ ledger, policy }, [address, deadline]) => {
    const miner = needMiner(ledger, address.text);
    if (deadline >= policy.postPeriodDeadlines)
      throw new RpcRefused(`invalid deadline ${deadline}: there are ${policy.postPeriodDeadlines}`);
    const partitions = Map.groupBy(sectorsOfDeadline(ledger, miner.id, deadline), (sector) => sector.place?.partition ?? 0);
    return [...partitions.keys()].sort((a, b) => a - b).map((index) => partitionOnChain(partitions.get(index) ?? []));
  }),
};

/** The open deadline of a miner (Lotus' `dline.Info`). */
function provingDeadline(policy: Policy, miner: number, epoch: number): unknown {
  const schedule = provingSchedule(policy, miner);
  const index = openDeadline(policy, miner, epoch);
  const { open, close } = nextWindow(schedule, index, epoch);
  return {
    CurrentEpoch: epoch,
    PeriodStart: periodStartAt(schedule, epoch),
    Index: index,
    Open: open,
    Close: close,
    Challenge: open - policy.postChallengeLookback,
    FaultCutoff: open - policy.faultDeclarationCutoff,
    WPoStPeriodDeadlines: policy.postPeriodDeadlines,
    WPoStProvingPeriod: policy.postProvingPeriod,
    WPoStChallengeWindow: policy.postChallengeWindow,
    WPoStChallengeLookback: policy.postChallengeLookback,
    FaultDeclarationCutoff: policy.faultDeclarationCutoff,
  };
}

function partitionOnChain(sectors: readonly SectorRow[]): unknown {
  const live = sectors.filter((sector) => sector.status === 'activated');
  const numbers = (some: readonly SectorRow[]): number[] => runLengths(some.map((sector) => sector.number));
  return {
    AllSectors: numbers(sectors),
    FaultySectors: numbers(live.filter((sector) => sector.post === 'faulty')),
    // A recovery is declared and proven in one go here, as the window closes.
    RecoveringSectors: numbers([]),
    LiveSectors: numbers(live),
    ActiveSectors: numbers(live.filter((sector) => sector.post === 'active')),
  };
}
