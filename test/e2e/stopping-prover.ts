/**
 * The real prover that stops in PC1 when its first layer is whole: `node stopping-prover.ts FOLDER run`. What it stopped (SIGSTOP) is
 * named in FOLDER/stopped, for whoever kills it as a host that dies would.
 */
import { spawn } from 'node:child_process';
import { readFileSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { REAL_PROVER } from '../replay-prover/replay-prover.ts';

const [folder, ...args] = process.argv.slice(2) as [string, ...string[]];
const child = spawn(REAL_PROVER, args, { stdio: ['inherit', 'inherit', 'pipe'] });

/** Of all its threads: the prover starts its stage from another one than its first. */
const childrenOf = (pid: number): number[] =>
  readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number),
  );

createInterface({ input: child.stderr }).on('line', (line) => {
  process.stderr.write(`${line}\n`);
  if (!/"output".*data-layer-1\.dat/.test(line)) return;
  const pids = [child.pid as number, ...childrenOf(child.pid as number)];
  for (const pid of pids) process.kill(pid, 'SIGSTOP');
  // Whole at once: whoever sees it reads all pids.
  writeFileSync(join(folder, 'stopped.tmp'), JSON.stringify([process.pid, ...pids]));
  renameSync(join(folder, 'stopped.tmp'), join(folder, 'stopped'));
});
child.once('close', (code) => (process.exitCode = code ?? 1));
