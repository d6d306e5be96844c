/**
 * The entry of the agent in one file, as runner.sh and the runner image start it. `launch PROVER` keeps an agent running
 * and gives it other software when it asks for that; without words it is that agent. All else comes from the environment.
 */
import { resolve } from 'node:path';
import { isLaneThread } from '../runners/lane-thread.ts';
import { loadConfig } from './config.ts';
import { launch } from './launch.ts';
import { RUNNER_EXIT, lastingExit } from './runner-exit.ts';
import { runner } from './runner.ts';

async function main([word, prover]: readonly string[]): Promise<number> {
  try {
    // Where instances are rented by a form, what was left out comes as nothing.
    const env = Object.fromEntries(Object.entries(process.env).filter(([, value]) => value !== ''));
    const config = loadConfig({ env });
    if (word === undefined) return RUNNER_EXIT[await runner(config, import.meta.filename)];
    if (word !== 'launch' || prover === undefined) throw new Error(`this takes \`launch PROVER\` or nothing, and not ${word}`);
    return await launch(config, { agent: import.meta.filename, prover: resolve(prover) });
  } catch (error) {
    process.stderr.write(`sealpool failed: ${error instanceof Error ? error.message : String(error)}\n`);
    return lastingExit(error) ?? RUNNER_EXIT.failed;
  }
}

// The threads of a download are started from this file as well.
if (!isLaneThread()) process.exitCode = await main(process.argv.slice(2));
