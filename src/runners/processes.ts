/** Ends stage processes for good: their group, and what left the group, which still has the marker in its environment. */
import { readFile, readdir } from 'node:fs/promises';

/** Every stage process has its work folder in this variable, and so has all that it starts. */
export const WORK_MARKER = 'SEALPOOL_WORK';

/** Signals a process group; false when nobody is left in it. */
export function signalGroup(leader: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(-leader, signal);
    return true;
  } catch {
    return false;
  }
}

/**
 * Kills every process of ours whose marker is `folder` or lies below it; answers how many.
 * Where there is no /proc it finds none: the group is then all that can be ended.
 */
export async function killMarked(folder: string): Promise<number> {
  const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^[0-9]+$/.test(name) && Number(name) !== process.pid);
  let killed = 0;
  for (const pid of pids) {
    const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
    const marker = environment
      .split('\0')
      .find((entry) => entry.startsWith(`${WORK_MARKER}=`))
      ?.slice(WORK_MARKER.length + 1);
    if (marker === undefined || (marker !== folder && !marker.startsWith(`${folder}/`))) continue;
    try {
      process.kill(Number(pid), 'SIGKILL');
      killed++;
    } catch {
      // It ended by itself meanwhile.
    }
  }
  return killed;
}
