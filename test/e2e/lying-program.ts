/** `lying-prover.ts` as a program of its own. */
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './processes.ts';

/** A prover that lies in this way, as a program in `folder`. */
export function lyingProver(folder: string, mode: string): string {
  const path = join(folder, `prover-${mode}`);
  writeFileSync(
    path,
    `#!/bin/sh\nexec '${process.execPath}' --disable-warning=ExperimentalWarning '${join(ROOT, 'test/e2e/lying-prover.ts')}' ${mode} "$@"\n`,
  );
  chmodSync(path, 0o755);
  return path;
}
