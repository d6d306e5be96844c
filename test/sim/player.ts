/** A process of the pool: plays the seeds it is sent and tells each outcome. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { generate } from './generate.ts';
import { play } from './play.ts';
import { scratchFolder } from './scratch.ts';

const folder = scratchFolder();
const path = join(folder, 'sealpool.sqlite');
const send = (message: unknown): void => void process.send?.(message);

process.on('message', (seeds: readonly number[]) => {
  void (async () => {
    for (const seed of seeds) {
      const { timeline: _, cells, ...outcome } = await play(generate(seed), path);
      send({ ...outcome, cells: [...cells] });
    }
    send('ready');
  })().catch((error: Error) => {
    process.stderr.write(`${error.stack}\n`);
    process.exit(1);
  });
});
process.on('disconnect', () => {
  rmSync(folder, { recursive: true, force: true });
});
send('ready');
