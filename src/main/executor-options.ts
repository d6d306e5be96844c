/** How a runner's stages run, from the configuration. */
import type { AgentOptions } from '../runners/options.ts';
import type { Config } from './config.ts';

export function executorOptions(config: Config): NonNullable<AgentOptions['executor']> {
  return {
    kind: config['runner.executor'],
    user: config['runner.user'],
    memoryBytes: config['runner.stage_memory_bytes'],
    processes: config['runner.stage_processes'],
    workBytes: config['runner.stage_work_bytes'],
    cpus: config['runner.container_cpus'],
    cpuset: config['runner.container_cpuset'],
    socketPath: config['runner.container_socket'],
    image: config['runner.container_image'],
    archive: config['runner.container_archive'],
    gpus: config['runner.container_gpus'],
  };
}
