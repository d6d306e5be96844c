/** `sealpool runner`: the agent until it is asked to end, with a health page on loopback. */
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { runAgent } from '../runners/agent.ts';
import { SealpoolError } from '../schema/problem.ts';
import { type Config, secretOf } from './config.ts';
import { listen } from './http-server.ts';
import { openLog } from './log.ts';
import { findProver } from './prover.ts';
import { askedToEnd, printReady } from './ready.ts';

const refuse = (message: string): SealpoolError => new SealpoolError('bad_request', 'configuration', message);

/** Works until asked to end; rejects when it cannot start or its credential is refused. */
export async function runner(config: Config): Promise<void> {
  const asked = askedToEnd();
  const log = openLog(config.log_level);
  const prover = findProver(config);
  if (prover === undefined) throw refuse('sealpool-prover is not there; build it with `make prover`, or name it with the key prover');
  if (config.url === undefined) throw refuse('the runner does not know its control plane; name it with --url');
  const dataDir = resolve(config.data);
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const agent = await runAgent({
    url: config.url,
    joinToken: joinToken(config),
    dataDir,
    prover,
    storage: config['runner.storage'].map(({ id, path }) => ({ id, path: resolve(path) })),
    name: config['runner.name'],
    stages: config['runner.stages'],
    slots: config['runner.slots'],
    environment: process.env,
    log: (level, message, fields) => log[level](fields ?? {}, message),
  });
  const health = await listen(() => Response.json({ ok: true, runner: agent.runnerId }), '127.0.0.1', config.port).catch(async (error: unknown) => {
    await agent.stop();
    throw error;
  });
  printReady({ ready: true, url: `http://127.0.0.1:${health.port}`, tokenFile: join(dataDir, 'runner.json') });
  await Promise.race([asked, agent.ended]).finally(() => health.close(0));
  await agent.stop();
}

/** A join token that is gone is no error: the runner may have used it before. */
function joinToken(config: Config): string | undefined {
  try {
    return secretOf(config['runner.join_token'], config['runner.join_token_file']);
  } catch {
    return undefined;
  }
}
