/** The oldest Node that runs the sources as they are, where its package is installed (`make test` does that). */
import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** Its program; undefined: not installed, or not made for this machine. */
export function olderNode(): string | undefined {
  const path = join(import.meta.dirname, `node_modules/node-linux-${process.arch}/bin/node`);
  return existsSync(path) ? path : undefined;
}
