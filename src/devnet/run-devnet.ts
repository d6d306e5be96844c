/** Puts the dev chain together and serves it on loopback. */
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { serve, type ServerType } from '@hono/node-server';
import { createAccount, createMiner, findMiner, keepAccountStates } from './accounts.ts';
import { GENESIS_BALANCE } from './actor/economics.ts';
import { Ledger } from './ledger.ts';
import { type DevnetOptions, GENESIS_EPOCH, policyWith } from './options.ts';
import { Producer } from './producer.ts';
import { proofVerifier } from './proof-verifier.ts';
import { devnetApp } from './server.ts';

export type RunningDevnet = {
  /** `http://127.0.0.1:<port>`; JSON-RPC is at `/rpc/v1`. */
  readonly url: string;
  /** Holds the bearer token, mode 0600. */
  readonly tokenFile: string;
  /** Stops the clock and the server; the state stays in the data folder. */
  close(): Promise<void>;
};

const DEFAULT_EPOCH_MS = 200;
const DEFAULT_CHALLENGE_DELAY = 10;
/** A proving period is 96 epochs then, 19 s of the default length: so long at most until a sector's first Window PoSt. */
const DEFAULT_CHALLENGE_WINDOW = 2;

/**
 * Starts the chain, new or where it stopped. Rejects when the port is taken, the data folder is in use
 * by another chain, or was made by a newer version.
 */
export async function runDevnet(options: DevnetOptions): Promise<RunningDevnet> {
  await mkdir(options.dataDir, { recursive: true });
  const tokenFile = join(options.dataDir, 'devnet.token');
  const ledger = new Ledger(join(options.dataDir, 'devnet.sqlite'));
  try {
    const token = await keptToken(tokenFile);
    makeGenesis(ledger, options);
    const policy = policyWith(Number(ledger.meta('challenge_delay')), Number(ledger.meta('challenge_window')));
    const verify = proofVerifier({ proverPath: options.proverPath, acceptReplay: options.acceptReplay ?? false });
    const log = options.log ?? ((): void => undefined);
    const producer = new Producer({ ledger, policy, verify, log }, options.epochMs ?? DEFAULT_EPOCH_MS, options.paused ?? false);
    const app = devnetApp({ ledger, policy, producer, options }, token);
    const server = await listen(app.fetch, options.port).catch(async (error: unknown) => {
      await producer.close();
      throw error;
    });
    return {
      url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      tokenFile,
      close: async () => {
        await producer.close();
        await closeServer(server);
        ledger.close();
      },
    };
  } catch (error) {
    ledger.close();
    throw error;
  }
}

/** Seed and first epoch of a new chain, and every miner that is not there yet, with accounts of its own. */
function makeGenesis(ledger: Ledger, options: DevnetOptions): void {
  ledger.transaction(() => {
    if (ledger.meta('genesis_seed') === undefined) {
      ledger.genesisSeed(options.genesisSeed);
      ledger.setMeta('challenge_delay', String(options.challengeDelayEpochs ?? DEFAULT_CHALLENGE_DELAY));
      ledger.setEpoch(GENESIS_EPOCH);
    }
    // A ledger of version 1 has none yet.
    if (ledger.meta('challenge_window') === undefined) {
      ledger.setMeta('challenge_window', String(options.challengeWindowEpochs ?? DEFAULT_CHALLENGE_WINDOW));
    }
    for (const miner of options.miners ?? [{ id: 1000, sectorSizeBytes: 2048 }]) {
      if (findMiner(ledger, `t0${miner.id}`) !== undefined) continue;
      const owner = createAccount(ledger, GENESIS_BALANCE);
      const worker = createAccount(ledger, GENESIS_BALANCE);
      createMiner(ledger, { ...miner, owner: owner.id, worker: worker.id, balance: 0n });
    }
    keepAccountStates(ledger, ledger.epoch());
  });
}

async function keptToken(tokenFile: string): Promise<string> {
  try {
    const kept = (await readFile(tokenFile, 'utf8')).trim();
    if (kept !== '') return kept;
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error) || error.code !== 'ENOENT') throw error;
  }
  const token = randomBytes(24).toString('base64url');
  // Renamed into place, so that a crash never leaves an empty token behind.
  await writeFile(`${tokenFile}.new`, `${token}\n`, { mode: 0o600 });
  await rename(`${tokenFile}.new`, tokenFile);
  return token;
}

function listen(fetch: Parameters<typeof serve>[0]['fetch'], port: number): Promise<ServerType> {
  return new Promise((resolve, reject) => {
    const server = serve({ fetch, port, hostname: '127.0.0.1' }, () => resolve(server));
    server.on('error', (cause: NodeJS.ErrnoException) => {
      const inUse = cause.code === 'EADDRINUSE';
      reject(inUse ? new Error(`port ${port} is in use; stop what listens there, or give --port 0 for any free one`, { cause }) : cause);
    });
  });
}

function closeServer(server: ServerType): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    if ('closeAllConnections' in server) server.closeAllConnections();
  });
}
