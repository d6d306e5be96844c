/** Where the stage program is. */
import { existsSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import type { Config } from './config.ts';

/** The configured program, else the one `make prover` built, else one on the PATH, else undefined. */
export function findProver(config: Pick<Config, 'prover'>): string | undefined {
  if (config.prover !== undefined) return resolve(config.prover);
  const built = join(import.meta.dirname, '../../bin/sealpool-prover');
  const onPath = (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, 'sealpool-prover'));
  return [built, ...onPath].find((path) => existsSync(path));
}
