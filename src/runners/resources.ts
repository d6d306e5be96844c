/** What this machine has. */
import { execFile } from 'node:child_process';
import { statfs } from 'node:fs/promises';
import { availableParallelism, totalmem } from 'node:os';
import { promisify } from 'node:util';
import type { Resources } from '../schema/runner.ts';

type Gpus = Resources['gpus'];

/** NVIDIA cards by their own tool; none where it is not installed. */
export async function findGpus(): Promise<Gpus> {
  const query = ['--query-gpu=name,memory.total', '--format=csv,noheader,nounits'];
  const found = await promisify(execFile)('nvidia-smi', query, { timeout: 5_000 }).catch(() => undefined);
  return (found?.stdout ?? '').split('\n').flatMap((line) => {
    const [model, mebibytes] = line.split(',').map((part) => part.trim());
    return model && /^[0-9]+$/.test(mebibytes ?? '') ? [{ model: model.slice(0, 80), vramBytes: Number(mebibytes) * 2 ** 20 }] : [];
  });
}

/** Cores, memory and the free space of the disk that stages work on. */
export async function measureResources(dataDir: string, gpus: Gpus): Promise<Resources> {
  const { bavail, bsize } = await statfs(dataDir);
  return { cores: availableParallelism(), ramBytes: totalmem(), diskFreeBytes: bavail * bsize, gpus };
}
