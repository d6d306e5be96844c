/**
 * What the control plane hands out to those who start runners: the script, the agent in one file, the prover, and the
 * runner image if there is one. They are what they were at the first question after a start; a restart takes newer ones.
 */
import { existsSync, readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Readable } from 'node:stream';
import type { RunnerFiles } from '../api/parts.ts';
import { readThrough } from '../runners/file-hash.ts';
import { SealpoolError } from '../schema/problem.ts';
import type { RunnerOffer } from '../schema/runner-offer.ts';
import type { Config } from './config.ts';
import { findProver } from './prover.ts';

const BUILT = join(import.meta.dirname, '../../bin');
const SCRIPT = join(import.meta.dirname, 'runner.sh');

type Offered = { readonly path: string; readonly hash: string; readonly sizeBytes: number; readonly mtimeMs: number };
type Offer = { readonly agent: Offered; readonly prover: Offered; readonly image: Offered | undefined };

type Named = Pick<Config, 'agent' | 'prover' | 'runner_image'>;

/** `url`: how runners reach the control plane, once that is known. */
export function runnerFiles(config: Named, version: string, url: () => string): RunnerFiles {
  let taken: Promise<Offer> | undefined;
  const take = (): Promise<Offer> => {
    taken ??= takeAll(config).catch((error: unknown) => {
      // Somebody may put there what is missing.
      taken = undefined;
      throw error;
    });
    return taken;
  };
  const offer = async (): Promise<RunnerOffer> => {
    const { agent, prover, image } = await take();
    const shown = ({ hash, sizeBytes }: Offered): RunnerOffer['agent'] => ({ hash, sizeBytes });
    return { version, arch: process.arch, agent: shown(agent), prover: shown(prover), image: image === undefined ? null : shown(image) };
  };
  return {
    offer,
    script: async () => scriptOf(await offer(), url()),
    open: async (hash) => {
      const found = Object.values(await take()).find((file) => file?.hash === hash);
      return found === undefined ? undefined : { sizeBytes: found.sizeBytes, body: () => bytesOf(found) };
    },
  };
}

async function takeAll(config: Named): Promise<Offer> {
  const imagePath = resolve(config.runner_image ?? join(BUILT, 'runner-image.tar'));
  const [agent, prover, image] = await Promise.all([
    takeFile('agent', config.agent === undefined ? join(BUILT, 'sealpool-agent.mjs') : resolve(config.agent), 'make agent'),
    takeFile('prover', findProver(config), 'make prover'),
    config.runner_image !== undefined || existsSync(imagePath) ? takeFile('runner_image', imagePath, 'make runner-image') : undefined,
  ]);
  return { agent, prover, image };
}

async function takeFile(key: string, path: string | undefined, command: string): Promise<Offered> {
  const handle = path === undefined ? undefined : await open(path).catch(() => undefined);
  if (path === undefined || handle === undefined) {
    throw new SealpoolError(
      'unavailable',
      'no_runner_files',
      `this control plane has no ${key} to hand out to runners; make it there (${command}), or name one that is readable with the key ${key}`,
    );
  }
  try {
    const { mtimeMs } = await handle.stat();
    return { path, mtimeMs, ...(await readThrough(handle, new AbortController().signal)) };
  } finally {
    await handle.close();
  }
}

/** The bytes that were hashed, or a refusal when there are others by now. */
async function bytesOf({ path, sizeBytes, mtimeMs }: Offered): Promise<ReadableStream<Uint8Array>> {
  const handle = await open(path).catch(() => undefined);
  const found = await handle?.stat();
  if (handle !== undefined && found?.size === sizeBytes && found.mtimeMs === mtimeMs)
    return Readable.toWeb(handle.createReadStream()) as ReadableStream<Uint8Array>;
  await handle?.close();
  throw new SealpoolError(
    'unavailable',
    'runner_files_changed',
    'the file was replaced since this control plane started; have it restarted, and fetch /runner.sh again',
  );
}

/** The script with this control plane's address and hashes in it, each quoted for the shell. */
function scriptOf({ arch, agent, prover, image }: RunnerOffer, url: string): string {
  const values: Readonly<Record<string, string>> = {
    QUOTED_URL: quoted(url),
    ARCH: quoted(arch),
    AGENT: quoted(hexOf(agent.hash)),
    PROVER: quoted(hexOf(prover.hash)),
    IMAGE: quoted(image === null ? '' : hexOf(image.hash)),
    // In a comment: a line end would leave it.
    URL: url.replaceAll(/\s/g, ''),
  };
  return readFileSync(SCRIPT, 'utf8').replaceAll(/@([A-Z_]+)@/g, (found, name: string) => values[name] ?? found);
}

const quoted = (text: string): string => `'${text.replaceAll("'", String.raw`'\''`)}'`;
const hexOf = (hash: string): string => hash.slice('sha256:'.length);
