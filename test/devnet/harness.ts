/** A dev chain in this process that stands still unless told, a client of it, and a sector to send. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { commitmentCid } from '../../src/chain/cids.ts';
import { LotusChain } from '../../src/chain/lotus-chain.ts';
import { LotusRpc } from '../../src/chain/lotus-rpc.ts';
import type { DevnetOptions } from '../../src/devnet/options.ts';
import { replayProof, replayUpdateProof, type UpdateStatement } from '../../src/devnet/replay-proof.ts';
import { type RunningDevnet, runDevnet } from '../../src/devnet/run-devnet.ts';
import type { MessageWant } from '../../src/scheduler/effects.ts';
import { MinerId } from '../../src/schema/ids.ts';

export const MINER = MinerId.parse('t01000');
export const COMM_R = '11'.repeat(31) + '01';
/** CommD of 2 KiB of zeros (vectors/chain-derivations.jsonl). */
export const ZERO_COMM_D = 'fc7e928296e516faade986b28f92d44a4f24b935485223376a799027bc18f833';

export type Bench = {
  readonly dataDir: string;
  readonly devnet: RunningDevnet;
  readonly chain: LotusChain;
  readonly rpc: LotusRpc;
  readonly token: string;
  control(body: unknown): Promise<{ epoch: number }>;
  messages(): Promise<Record<string, unknown>[]>;
  /** Stops it; the data folder stays. */
  stop(): Promise<void>;
  /** Stops it and deletes the data folder. */
  end(): Promise<void>;
};

export async function bench(options: Partial<DevnetOptions> = {}): Promise<Bench> {
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'sealpool-devnet-')));
  const devnet = await runDevnet({ port: 0, paused: true, acceptReplay: true, ...options, dataDir });
  const token = (await readFile(devnet.tokenFile, 'utf8')).trim();
  const url = `${devnet.url}/rpc/v1`;
  const chain = new LotusChain({ url, token });
  const rpc = new LotusRpc({ url, token });
  const stop = async (): Promise<void> => {
    await Promise.all([chain.close(), rpc.close()]);
    await devnet.close();
  };
  return {
    dataDir,
    devnet,
    chain,
    rpc,
    token,
    control: async (body) => {
      const response = await fetch(`${devnet.url}/control`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}` },
        body: JSON.stringify(body),
      });
      if (!response.ok) throw new Error(await response.text());
      return (await response.json()) as { epoch: number };
    },
    messages: async () => {
      const text = await (await fetch(`${devnet.url}/messages`)).text();
      return text
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as Record<string, unknown>);
    },
    stop,
    end: async () => {
      await stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** A pre-commit of a CC sector. */
export function preCommitWant(number: number, ticketEpoch: number, overrides: Partial<MessageWant> = {}): MessageWant {
  return {
    method: 'PreCommitSectorBatch2',
    miner: MINER,
    number,
    sealProof: 5,
    commR: COMM_R,
    commD: null,
    ticketEpoch,
    ...overrides,
  } as MessageWant;
}

/** Signs and pushes; answers the message's CID. */
export async function send(b: Bench, want: MessageWant): Promise<string> {
  const message = await b.chain.sign(want, 0);
  await b.chain.push(message);
  return message.cid;
}

/** Pre-commits the sector, passes its seed epoch, and answers the marked proof for it. */
export async function preCommitted(b: Bench, number: number): Promise<{ proof: Uint8Array; seed: string; ticket: string }> {
  const ticket = await b.chain.ticket(MINER);
  await send(b, preCommitWant(number, ticket.epoch));
  await b.control({ advance: 17 });
  const seed = await b.chain.seed(MINER, number);
  if (!('value' in seed)) throw new Error(`the seed is ${seed.waitEpochs} epochs away`);
  const proof = replayProof({
    commR: COMM_R,
    commD: ZERO_COMM_D,
    ticket: ticket.value,
    seed: seed.value,
    miner: MINER,
    number: String(number),
  });
  return { proof, seed: seed.value, ticket: ticket.value };
}

/** A prove-commit of a sector. */
export function proveWant(number: number, proof: Uint8Array): Extract<MessageWant, { method: 'ProveCommitSectors3' }> {
  return { method: 'ProveCommitSectors3', miner: MINER, number, pieces: [], proofBase64: Buffer.from(proof).toString('base64') };
}

/** CommR of an update, and a piece that fills the sector: its commitment is the update's CommD. */
export const UPDATE_COMM_R = '22'.repeat(31) + '02';
export const PIECE_HEX = '03'.repeat(31) + '03';
export const PIECE = { cid: commitmentCid('unsealed', PIECE_HEX).toString(), paddedSizeBytes: '2048' };

export type UpdateWant = Extract<MessageWant, { method: 'ProveReplicaUpdates3' }>;

/** The upgrade of a CC sector with one piece; its proof is the marked answer. */
export function updateWant(number: number, overrides: Partial<UpdateStatement> = {}): UpdateWant {
  const proof = replayUpdateProof({
    commROld: COMM_R,
    commRNew: UPDATE_COMM_R,
    commDNew: PIECE_HEX,
    miner: MINER,
    number: String(number),
    ...overrides,
  });
  return {
    method: 'ProveReplicaUpdates3',
    miner: MINER,
    number,
    updateProof: 0,
    commR: UPDATE_COMM_R,
    pieces: [PIECE],
    proofBase64: Buffer.from(proof).toString('base64'),
  };
}

/** An activated CC sector, not proven by Window PoSt yet. */
export async function activated(b: Bench, number: number): Promise<void> {
  const { proof } = await preCommitted(b, number);
  await send(b, proveWant(number, proof));
  await b.control({ advance: 2 });
}

/** The window of a deadline that is not over when the next message executes, from what Lotus' methods say. */
export async function windowOf(b: Bench, deadline: number): Promise<{ open: number; close: number; epoch: number; length: number }> {
  const Info = z.object({
    CurrentEpoch: z.number(),
    PeriodStart: z.number(),
    WPoStChallengeWindow: z.number(),
    WPoStProvingPeriod: z.number(),
  });
  const info = await b.rpc.call('StateMinerProvingDeadline', [MINER, []], Info);
  let open = info.PeriodStart + deadline * info.WPoStChallengeWindow;
  if (info.CurrentEpoch + 1 >= open + info.WPoStChallengeWindow) open += info.WPoStProvingPeriod;
  return { open, close: open + info.WPoStChallengeWindow, epoch: info.CurrentEpoch, length: info.WPoStChallengeWindow };
}

/** Moves the clock until the next message executes at this epoch. */
export async function nextAt(b: Bench, epoch: number): Promise<void> {
  const head = await b.chain.head();
  if (epoch - 1 < head.epoch) throw new Error(`epoch ${epoch} is past, the head is ${head.epoch}`);
  if (epoch - 1 > head.epoch) await b.control({ advance: epoch - 1 - head.epoch });
}

/** A CC sector whose first Window PoSt is in: it may be upgraded now. */
export async function posted(b: Bench, number: number): Promise<void> {
  await activated(b, number);
  const sector = await b.chain.sector(MINER, number);
  const { close } = await windowOf(b, sector?.deadline as number);
  // The head's state is that before its own epoch's end.
  await nextAt(b, close + 1);
}

/** The answer of a call whose shape the test looks at itself. */
export async function raw(b: Bench, method: string, params: readonly unknown[]): Promise<unknown> {
  return b.rpc.call(method, params, z.unknown());
}

export type Outcome = { readonly cid: string; readonly exitCode: number; readonly reason: string; readonly returned: Uint8Array };

/** Puts a message on the chain without the estimate that would have refused it, and answers its receipt. */
export async function pushUnchecked(
  b: Bench,
  message: {
    method: number;
    params: Uint8Array;
    value: bigint;
    from?: string | undefined;
    to?: string;
    gasLimit?: number;
    beforeLanding?: () => Promise<unknown>;
  },
): Promise<Outcome> {
  const from = message.from ?? (await b.chain.sender(MINER));
  const signed = await raw(b, 'WalletSignMessage', [
    from,
    {
      Version: 0,
      To: message.to ?? MINER,
      From: from,
      Nonce: await raw(b, 'MpoolGetNonce', [from]),
      Value: message.value.toString(),
      GasLimit: message.gasLimit ?? 200_000_000,
      GasFeeCap: '1000',
      GasPremium: '0',
      Method: message.method,
      Params: Buffer.from(message.params).toString('base64'),
    },
  ]);
  const cid = ((await raw(b, 'MpoolPush', [signed])) as { '/': string })['/'];
  await message.beforeLanding?.();
  await b.control({ advance: 2 });
  const lookup = (await raw(b, 'StateSearchMsg', [[], { '/': cid }, -1, true])) as { Receipt: { ExitCode: number; Return: string } };
  const line = (await b.messages()).find((candidate) => candidate['cid'] === cid) as { reason: string };
  return {
    cid,
    exitCode: lookup.Receipt.ExitCode,
    reason: line.reason,
    returned: Uint8Array.from(Buffer.from(lookup.Receipt.Return, 'base64')),
  };
}
