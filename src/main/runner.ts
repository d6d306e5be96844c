/** `sealpool runner`: the agent until it is asked to end, with a health page on loopback. */
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { AgentEnd } from '../runners/agent-loop.ts';
import { hashFile } from '../runners/file-hash.ts';
import { runnerMain } from '../runners/main.ts';
import { AGENT_VERSION } from '../runners/registration.ts';
import { SealpoolError } from '../schema/problem.ts';
import type { Software } from '../schema/runner.ts';
import type { Config } from './config.ts';
import { executorOptions } from './executor-options.ts';
import { listen } from './http-server.ts';
import { openLog } from './log.ts';
import { findProver } from './prover.ts';
import { askedToEnd, printReady } from './ready.ts';
import { storageOf } from './storage.ts';

const refuse = (message: string): SealpoolError => new SealpoolError('bad_request', 'configuration', message);

/**
 * Works until asked to end, or until it is to be started anew with other software; rejects when it cannot start or
 * its credential is refused. `bundle`: the file that runs, where all of the agent is in one.
 */
export async function runner(config: Config, bundle?: string): Promise<AgentEnd> {
  const asked = askedToEnd();
  let log = openLog(config.log_level);
  const prover = findProver(config);
  if (prover === undefined) throw refuse('sealpool-prover is not there; build it with `make prover`, or name it with the key prover');
  if (config.url === undefined) throw refuse('the runner does not know its control plane; name it with --url');
  const storage = storageOf(config);
  const dataDir = resolve(config.data);
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  // Before anything else: a port in use must not cost a join token.
  const health = await listen(() => Response.json({ ok: true }), '127.0.0.1', config.port);
  const url = `http://127.0.0.1:${health.port}`;
  try {
    return await runnerMain({
      url: config.url,
      joinToken: config['runner.join_token'],
      joinTokenFile: config['runner.join_token_file'],
      dataDir,
      prover,
      storage,
      name: config['runner.name'],
      stages: config['runner.stages'],
      slots: config['runner.slots'],
      processors: config['runner.processors'],
      cacheBytes: config['runner.cache_bytes'],
      storageBytesPerS: bytesOf(config['runner.storage_mib_per_s']),
      executor: executorOptions(config),
      software: bundle === undefined ? undefined : await softwareOf(config, bundle, prover),
      measureNetwork: config['runner.measure_network'],
      environment: process.env,
      log: (level, message, fields) => log[level](fields ?? {}, message),
      onReady: ({ runnerId }) => {
        log = log.child({ runner: runnerId });
        printReady({ ready: true, url, tokenFile: join(dataDir, 'runner.json'), runnerId });
      },
      askedToEnd: asked,
    });
  } finally {
    await health.close(0);
  }
}

const bytesOf = (mib: number | undefined): number | undefined => (mib === undefined ? undefined : mib * 2 ** 20);

/** A prover of the operator's own is not told: the control plane would want to replace it. */
async function softwareOf(config: Config, bundle: string, prover: string): Promise<Software> {
  const { signal } = new AbortController();
  const upgrades = config['runner.upgrades'] ?? 'none';
  return {
    version: AGENT_VERSION,
    arch: process.arch,
    agent: (await hashFile(bundle, signal)).hash,
    ...(upgrades === 'all' ? { prover: (await hashFile(prover, signal)).hash } : {}),
    upgrades: upgrades !== 'none',
  };
}
