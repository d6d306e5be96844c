/** An honest replay prover that waits in a stage: `node holding-prover.ts FOLDER run` stays while FOLDER/hold-STAGE is there. */
import { existsSync, readFileSync, renameSync, watch, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ProverRequest, perform } from '../replay-prover/replay-prover.ts';

const [folder] = process.argv.slice(2) as [string];
const text = readFileSync(0, 'utf8');
const { stage } = JSON.parse(text) as ProverRequest;
const hold = join(folder, `hold-${stage}`);

if (existsSync(hold)) {
  await new Promise<void>((resolve) => {
    const watcher = watch(folder, () => {
      if (existsSync(hold)) return;
      watcher.close();
      resolve();
    });
    // Whole at once: whoever sees it reads the pid.
    const running = join(folder, `running-${stage}`);
    writeFileSync(`${running}.tmp`, String(process.pid));
    renameSync(`${running}.tmp`, running);
  });
}
const { exitCode, answer } = perform(text);
process.stdout.write(`${JSON.stringify(answer)}\n`);
process.exitCode = exitCode;
