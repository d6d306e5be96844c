/** Head, network and randomness. */
import { encode } from '@ipld/dag-cbor';
import { z } from 'zod';
import { blockCid } from '../../chain/cids.ts';
import { drawRandomness, epochDigest, fixedRandomness, type RandomnessSource } from '../randomness.ts';
import { HeadKey, method, NETWORK_NAME, type RpcContext, type RpcMethod, RpcRefused } from './method.ts';

const Tag = z.number().int();
const Epoch = z.number().int();
/** How far back a tipset is found by its key. */
const FINALITY_EPOCHS = 900;
/** Base64; Lotus takes null for no entropy. */
const Entropy = z.base64().nullable();

export const CHAIN_METHODS: Readonly<Record<string, RpcMethod>> = {
  ChainHead: method(z.tuple([]), ({ ledger }) => {
    const epoch = ledger.epoch();
    return { Cids: [tipsetLink(epoch)], Blocks: [], Height: epoch };
  }),
  ChainGetTipSetByHeight: method(z.tuple([Epoch, HeadKey]), ({ ledger }, [epoch]) => {
    const head = ledger.epoch();
    if (epoch < 0 || epoch > head) throw new RpcRefused(`looking for tipset with height greater than start point: ${epoch}, ${head}`);
    return { Cids: [tipsetLink(epoch)], Blocks: [], Height: epoch };
  }),
  StateNetworkVersion: method(z.tuple([HeadKey]), () => 29),
  StateNetworkName: method(z.tuple([]), () => NETWORK_NAME),
  StateGetNetworkParams: method(z.tuple([]), ({ policy, producer }) => ({
    NetworkName: NETWORK_NAME,
    // Lotus has whole seconds here; epochs of a dev chain are shorter.
    BlockDelaySecs: producer.epochMs / 1000,
    ConsensusMinerMinPower: '2048',
    PreCommitChallengeDelay: policy.challengeDelay,
    Eip155ChainID: 31415926,
  })),
  StateGetRandomnessFromTickets: randomness('tickets'),
  StateGetRandomnessFromBeacon: randomness('beacon'),
  StateGetRandomnessDigestFromTickets: digest('tickets'),
  StateGetRandomnessDigestFromBeacon: digest('beacon'),
};

/** The key of the tipset at an epoch. */
export function tipsetLink(epoch: number): { '/': string } {
  return { '/': blockCid(encode([NETWORK_NAME, epoch])).toString() };
}

/** The epoch of a tipset key; `[]` and null are the head. Throws `RpcRefused` for a key that this chain does not have. */
export function epochOfKey(ledger: RpcContext['ledger'], key: readonly string[] | null): number {
  const head = ledger.epoch();
  const [wanted] = key ?? [];
  if (wanted === undefined) return head;
  const oldest = Math.max(0, head - FINALITY_EPOCHS);
  for (let epoch = head; epoch >= oldest; epoch--) if (tipsetLink(epoch)['/'] === wanted) return epoch;
  throw new RpcRefused(`loading tipset ${wanted}: this chain has none of that key in its last ${FINALITY_EPOCHS} epochs`);
}

function randomness(source: RandomnessSource): RpcMethod {
  return method(z.tuple([Tag, Epoch, Entropy, HeadKey]), ({ ledger }, [tag, epoch, entropy]) => {
    demandPast({ ledger }, epoch);
    const bytes = Uint8Array.from(Buffer.from(entropy ?? '', 'base64'));
    return Buffer.from(drawRandomness(ledger, source, tag, epoch, bytes), 'hex').toString('base64');
  });
}

function digest(source: RandomnessSource): RpcMethod {
  return method(z.tuple([Epoch, HeadKey]), ({ ledger }, [epoch]) => {
    demandPast({ ledger }, epoch);
    const fixed = fixedRandomness(ledger);
    if (fixed.ticket !== undefined || fixed.seed !== undefined) {
      throw new RpcRefused('randomness is fixed on this dev chain, so no digest leads to it; ask for randomness itself');
    }
    return Buffer.from(epochDigest(ledger, source, epoch), 'hex').toString('base64');
  });
}

function demandPast({ ledger }: Pick<RpcContext, 'ledger'>, epoch: number): void {
  const head = ledger.epoch();
  if (epoch < 0) throw new RpcRefused(`there is no epoch ${epoch}`);
  if (epoch > head) throw new RpcRefused(`randomness of epoch ${epoch} does not exist yet, the head is ${head}`);
}
