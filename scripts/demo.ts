/**
 * `make demo [FLOW=all] [FILE=path] [TOPOLOGY=three]`: one sector with real proofs through the HTTP API of `sealpool dev`, shown as it
 * happens. FLOW=all goes on to snap, rebuild and unseal it. The data folder ($SEALPOOL_DATA, else in the cache) is
 * kept, so that a second run goes on on the same chain with the next sector. TOPOLOGY=three seals it on three runners,
 * each in a network namespace of its own.
 */
import { readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ApiError, createClient } from '../src/api/client.ts';
import { startDev } from './demo/dev-process.ts';
import { type InputFile, sealOne, wholeLife } from './demo/flows.ts';
import { endOfOutside, isInside, missingHere, runInHub } from './demo/namespaces.ts';
import { printLine, seconds } from './demo/progress-line.ts';
import { startThree } from './demo/three.ts';

const FLOWS = ['sealer', 'all'] as const;
const root = join(import.meta.dirname, '..');
const dataDir =
  process.env.SEALPOOL_DATA ??
  join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'sealpool', isInside() ? 'demo-three' : 'demo');
const LETTER = join(import.meta.dirname, 'demo/letter.txt');

/** A file that can be read; throws a sentence about any other. */
function inputFile(path: string): InputFile {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined || !found.isFile()) throw new Error(`${path} is no file; give the path of one with FILE=path`);
  return { path, size: found.size };
}

async function main(flow: string, path: string | undefined, prover: string | undefined): Promise<void> {
  if (!FLOWS.some((known) => known === flow)) throw new Error(`there is no flow ${flow}; give one of FLOW=${FLOWS.join(', FLOW=')}`);
  const started = Date.now();
  const file = path === undefined ? undefined : inputFile(path);
  const interrupted = new AbortController();
  if (isInside()) endOfOutside().addEventListener('abort', () => interrupted.abort());
  printLine(`Starting ${isInside() ? 'three runners on machines of their own' : 'sealpool dev'}; data and logs are in ${dataDir}`);
  const dev = await (isInside() ? startThree(root, dataDir, prover) : startDev(root, dataDir));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort());
  try {
    const client = createClient({ baseUrl: dev.url, token: readFileSync(dev.tokenFile, 'utf8').trim() });
    const demo = { client, dev, dataDir, interrupted: interrupted.signal };
    if (flow === 'all') await wholeLife(demo, file ?? inputFile(LETTER));
    else await sealOne(demo, file);
    printLine(`\nDone after ${seconds(Date.now() - started)}.`);
  } catch (error) {
    if (interrupted.signal.aborted) throw new Error('interrupted; run make demo again, the sector goes on where it was', { cause: error });
    throw error;
  } finally {
    await dev.end();
  }
}

try {
  const { values } = parseArgs({
    options: {
      flow: { type: 'string', default: 'sealer' },
      file: { type: 'string' },
      topology: { type: 'string', default: 'one' },
      // For tests: a stand-in for the prover, whose proofs the chain then takes.
      prover: { type: 'string' },
    },
  });
  const three = values.topology === 'three';
  if (!three && values.topology !== 'one') throw new Error(`there is no topology ${values.topology}; give TOPOLOGY=three, or none`);
  if (three && values.flow !== 'sealer') throw new Error('TOPOLOGY=three seals one sector; leave FLOW out');
  const missing = three && !isInside() ? missingHere() : undefined;
  if (missing !== undefined) throw new Error(missing);
  if (three && !isInside()) process.exitCode = await runInHub();
  else await main(values.flow, values.file, values.prover);
} catch (error) {
  printLine(`demo: ${error instanceof ApiError ? error.problem.detail : (error as Error).message}`);
  process.exitCode = 1;
}
