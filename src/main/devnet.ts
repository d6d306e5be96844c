/** `sealpool devnet`: the dev chain until it is asked to end. */
import { mkdir } from 'node:fs/promises';
import { runDevnet } from '../devnet/run-devnet.ts';
import { sealProofInfo } from '../schema/seal-proof.ts';
import type { Config } from './config.ts';
import { findProver } from './prover.ts';
import { askedToEnd, printReady } from './ready.ts';

/** Serves until asked to end. */
export async function devnet(config: Config): Promise<void> {
  const asked = askedToEnd();
  await mkdir(config.data, { recursive: true, mode: 0o700 });
  const seed = config['devnet.genesis_seed'];
  const chain = await runDevnet({
    dataDir: config.data,
    port: config['devnet.port'],
    epochMs: config['devnet.epoch_ms'],
    challengeDelayEpochs: config['devnet.challenge_delay_epochs'],
    acceptReplay: config['devnet.accept_replay'],
    proverPath: findProver(config),
    miners: config.miners.map(({ id, seal_proof: sealProof }) => ({
      id: Number(id.slice(2)),
      sectorSizeBytes: sealProofInfo(sealProof).sectorSizeBytes,
    })),
    ...(seed === undefined ? {} : { genesisSeed: seed }),
    log: (line) => void process.stderr.write(`${line}\n`),
  });
  printReady({ ready: true, url: chain.url, tokenFile: chain.tokenFile });
  await asked;
  await chain.close();
}
