/**
 * `make demo [FLOW=all] [FILE=path] [TOPOLOGY=three] [STORE=s3]`: one sector with real proofs through the HTTP API of `sealpool dev`, shown as it
 * happens. FLOW=all goes on to snap, rebuild and unseal it. The data folder ($SEALPOOL_DATA, else in the cache) is
 * kept, so that a second run goes on on the same chain with the next sector. TOPOLOGY=three seals it on three runners,
 * each in a network namespace of its own. STORE=s3: files go through a SeaweedFS of the demo's own.
 */
import { readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ApiError, createClient } from '../src/api/client.ts';
import { type DevProcess, startDev } from './demo/dev-process.ts';
import { type InputFile, sealOne, wholeLife } from './demo/flows.ts';
import { endOfOutside, isInside, missingHere, runInHub } from './demo/namespaces.ts';
import { printLine, seconds } from './demo/progress-line.ts';
import { missingForS3, startS3 } from './demo/s3-store.ts';
import { type ThreeOptions, startThree } from './demo/three.ts';

const FLOWS = ['sealer', 'all'] as const;
const STORES = ['local', 's3'] as const;
const root = join(import.meta.dirname, '..');
/** Each kind of demo has a folder of its own: a database knows the objects of one store only. */
const folderOf = (s3: boolean): string =>
  process.env.SEALPOOL_DATA ??
  join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'sealpool', `demo${isInside() ? '-three' : ''}${s3 ? '-s3' : ''}`);
const LETTER = join(import.meta.dirname, 'demo/letter.txt');

/** A file that can be read; throws a sentence about any other. */
function inputFile(path: string): InputFile {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined || !found.isFile()) throw new Error(`${path} is no file; give the path of one with FILE=path`);
  return { path, size: found.size };
}

async function main(flow: string, path: string | undefined, options: ThreeOptions): Promise<void> {
  const dataDir = folderOf(options.s3);
  if (!FLOWS.some((known) => known === flow)) throw new Error(`there is no flow ${flow}; give one of FLOW=${FLOWS.join(', FLOW=')}`);
  const started = Date.now();
  const file = path === undefined ? undefined : inputFile(path);
  const interrupted = new AbortController();
  if (isInside()) endOfOutside().addEventListener('abort', () => interrupted.abort());
  printLine(`Starting ${isInside() ? 'three runners on machines of their own' : 'sealpool dev'}; data and logs are in ${dataDir}`);
  const dev = await (isInside() ? startThree(root, dataDir, options) : options.s3 ? startDevOnS3(dataDir) : startDev(root, dataDir));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort());
  try {
    const client = createClient({ baseUrl: dev.url, token: readFileSync(dev.tokenFile, 'utf8').trim() });
    const demo = { client, dev, dataDir, interrupted: interrupted.signal };
    if (flow === 'all') await wholeLife(demo, file ?? inputFile(LETTER));
    else await sealOne(demo, file);
    dev.show?.();
    printLine(`\nDone after ${seconds(Date.now() - started)}.`);
  } catch (error) {
    if (interrupted.signal.aborted) throw new Error('interrupted; run make demo again, the sector goes on where it was', { cause: error });
    throw error;
  } finally {
    await dev.end();
  }
}

/** `sealpool dev` over SeaweedFS; its runner gets no key. */
async function startDevOnS3(dataDir: string): Promise<DevProcess> {
  const s3 = await startS3(dataDir);
  printLine(`Files go through SeaweedFS at ${s3.endpoint}`);
  try {
    const dev = await startDev(root, dataDir, s3.environment);
    const end = async (): Promise<void> => {
      await dev.end();
      await s3.end();
    };
    return { ...dev, end };
  } catch (error) {
    await s3.end();
    throw error;
  }
}

try {
  const { values } = parseArgs({
    options: {
      flow: { type: 'string', default: 'sealer' },
      file: { type: 'string' },
      topology: { type: 'string', default: 'one' },
      store: { type: 'string', default: 'local' },
      // For tests: a stand-in for the prover, whose proofs the chain then takes.
      prover: { type: 'string' },
    },
  });
  const three = values.topology === 'three';
  if (!three && values.topology !== 'one') throw new Error(`there is no topology ${values.topology}; give TOPOLOGY=three, or none`);
  if (three && values.flow !== 'sealer') throw new Error('TOPOLOGY=three seals one sector; leave FLOW out');
  if (!STORES.some((known) => known === values.store)) throw new Error(`there is no store ${values.store}; give STORE=s3, or none`);
  const s3 = values.store === 's3';
  const missing = isInside() ? undefined : ((three ? missingHere() : undefined) ?? (s3 ? missingForS3() : undefined));
  if (missing !== undefined) throw new Error(missing);
  if (three && !isInside()) process.exitCode = await runInHub();
  else await main(values.flow, values.file, { prover: values.prover, s3 });
} catch (error) {
  printLine(`demo: ${error instanceof ApiError ? error.problem.detail : (error as Error).message}`);
  process.exitCode = 1;
}
