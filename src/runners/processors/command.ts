/** How a processor is started: its command line with CPU set and NUMA node, and what it sees of the environment. */
import { delimiter, join, resolve } from 'node:path';
import { existsSync } from 'node:fs';
import type { Processor, ProcessorStage } from '../../schema/processor.ts';
import { StageFailure } from '../failure.ts';
import { stageEnvironment } from '../process-executor.ts';
import { WORK_MARKER } from '../processes.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** Program and arguments. Throws `program_missing` when a tool for CPU sets is needed and not there. */
export function processorCommand(spec: Processor, stage: ProcessorStage, prover: string, path: string | undefined): [string, ...string[]] {
  const bin = spec.bin === undefined ? prover : spec.bin.includes('/') ? resolve(spec.bin) : spec.bin;
  const words: [string, ...string[]] = [bin, ...(spec.args ?? ['processor', stage])];
  const around: string[] = [];
  if (spec.numa_preferred !== undefined) {
    around.push(tool('numactl', 'numactl', path), `--preferred=${spec.numa_preferred}`);
  }
  if (spec.cgroup?.cpuset !== undefined) around.push(tool('taskset', 'util-linux', path), '-c', spec.cgroup.cpuset);
  const [first, ...rest] = around;
  return first === undefined ? words : [first, ...rest, ...words];
}

function tool(name: string, from: string, path: string | undefined): string {
  const found = (path ?? '')
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find((file) => existsSync(file));
  if (found !== undefined) return found;
  throw new StageFailure(
    'program_missing',
    `${name} is not there, which keeps a processor on its cores; install ${from}, or take cgroup.cpuset and numa_preferred out`,
  );
}

/** What a processor sees: its own settings, what every stage sees unless it may not, and the marker by which it is found again. */
export function processorEnvironment(spec: Processor, from: Environment, folder: string): Record<string, string> {
  const inherited = spec.inherit_envs ? stageEnvironment(from, folder) : {};
  return { ...inherited, ...spec.envs, [WORK_MARKER]: folder };
}
