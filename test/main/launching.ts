/** `launch` as a process of its own: with the agent that is named, and the prover of nobody. */
import { loadConfig } from '../../src/main/config.ts';
import { launch } from '../../src/main/launch.ts';

process.exitCode = await launch(loadConfig(), { agent: process.argv[2] as string, prover: '/nowhere/prover' });
