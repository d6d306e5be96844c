/** What a process of this machine uses, as Linux counts it. */
import { readFileSync } from 'node:fs';

/** Clock ticks per second in /proc, which Linux shows in hundredths everywhere. */
const TICKS_PER_S = 100;

export type Usage = { readonly cpuS: number; readonly residentBytes: number; readonly peakBytes: number; readonly descriptors: number };

/** CPU time so far, memory now and at most; undefined when the process is gone. */
export function usageOf(pid: number | undefined): Usage | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name, in parentheses, may contain spaces.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const status = readFileSync(`/proc/${pid}/status`, 'latin1');
    const kibibytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0) * 1024;
    return {
      cpuS: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_S,
      residentBytes: kibibytes('VmRSS'),
      peakBytes: kibibytes('VmHWM'),
      descriptors: Number(/^FDSize:\s+(\d+)/m.exec(status)?.[1] ?? 0),
    };
  } catch {
    return undefined;
  }
}
