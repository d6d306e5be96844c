/** Reads the logs of real processes. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Deployment } from './processes.ts';

export type Line = Record<string, unknown> & { readonly msg: string };

/** The lines of `serve.log`, `runner-one.log`… that are JSON. */
export function linesOf(deployment: Deployment, name: string): Line[] {
  return readFileSync(join(deployment.folder, `${name}.log`), 'utf8')
    .split('\n')
    .flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as Line] : []));
}
