/** `sealpool runner`: the agent until it is asked to end, with a health page on loopback. */
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { runnerMain } from '../runners/main.ts';
import { SealpoolError } from '../schema/problem.ts';
import type { Config } from './config.ts';
import { executorOptions } from './executor-options.ts';
import { listen } from './http-server.ts';
import { openLog } from './log.ts';
import { findProver } from './prover.ts';
import { askedToEnd, printReady } from './ready.ts';

const refuse = (message: string): SealpoolError => new SealpoolError('bad_request', 'configuration', message);

/** Works until asked to end; rejects when it cannot start or its credential is refused. */
export async function runner(config: Config): Promise<void> {
  const asked = askedToEnd();
  let log = openLog(config.log_level);
  const prover = findProver(config);
  if (prover === undefined) throw refuse('sealpool-prover is not there; build it with `make prover`, or name it with the key prover');
  if (config.url === undefined) throw refuse('the runner does not know its control plane; name it with --url');
  const dataDir = resolve(config.data);
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  // Before anything else: a port in use must not cost a join token.
  const health = await listen(() => Response.json({ ok: true }), '127.0.0.1', config.port);
  const url = `http://127.0.0.1:${health.port}`;
  try {
    await runnerMain({
      url: config.url,
      joinToken: config['runner.join_token'],
      joinTokenFile: config['runner.join_token_file'],
      dataDir,
      prover,
      storage: config['runner.storage'].map(({ id, path }) => `${id}=${resolve(path)}`),
      name: config['runner.name'],
      stages: config['runner.stages'],
      slots: config['runner.slots'],
      processors: config['runner.processors'],
      executor: executorOptions(config),
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
