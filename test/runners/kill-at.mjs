/**
 * Loaded before the runner (`node --import`): kills it, as a power cut would, at one call of `node:fs/promises`.
 * KILL_AT=rename:2 — before the second rename in the folder KILL_IN; open:1 — once the first new file was made there.
 */
import fs from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';

const [name, count] = (process.env.KILL_AT ?? '').split(':');
const real = fs[name];
let left = Number(count);
fs[name] = async (...args) => {
  const about = String(args[0]).startsWith(process.env.KILL_IN) && (name !== 'open' || args[1] === 'wx');
  const last = about && --left === 0;
  if (last && name === 'rename') process.kill(process.pid, 'SIGKILL');
  const answer = await real(...args);
  if (last) process.kill(process.pid, 'SIGKILL');
  return answer;
};
syncBuiltinESMExports();
