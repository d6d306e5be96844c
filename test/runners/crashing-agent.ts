/** A process that runs one stage, as an agent does, and is killed meanwhile: `crashing-agent.ts WISH WORKDIR SCRIPT`. */
import { openWish } from './open-wish.ts';

const [wish = '', workDir = '', script = ''] = process.argv.slice(2);
const { executor } = await openWish(JSON.parse(wish));
await executor.run({
  program: '/bin/sh',
  args: ['-c', script],
  workDir,
  request: '',
  signal: new AbortController().signal,
  onLine: (line) => process.stdout.write(`${line}\n`),
});
