/** Miner storage: which root takes a sector, and where in it a file may be. */
import { access, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { StageFailure } from './failure.ts';
import type { StorageRoot } from './options.ts';

const SEGMENT = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/;

/** The file below a root. Throws `bad_request` for anything but plain segments: no `..`, nothing absolute. */
export function storedFilePath(root: StorageRoot, path: string): string {
  if (path.length > 400 || !path.split('/').every((segment) => SEGMENT.test(segment) && !segment.includes('..'))) {
    throw new StageFailure(
      'bad_request',
      `${JSON.stringify(path.slice(0, 80))} is not a path below miner storage; the control plane and this runner disagree, update the older one`,
    );
  }
  return join(root.path, path);
}

/**
 * Where a sector goes: the root that has one of its files already (a repeated Persist must not leave
 * two copies in two places), else the one with most free space.
 */
export async function rootForSector(roots: readonly StorageRoot[], paths: readonly string[]): Promise<StorageRoot> {
  let best: { root: StorageRoot; freeBytes: number } | undefined;
  for (const root of roots) {
    for (const path of paths) if (await exists(storedFilePath(root, path))) return root;
    const disk = await statfs(root.path).catch(() => undefined);
    const freeBytes = disk === undefined ? -1 : disk.bavail * disk.bsize;
    if (disk !== undefined && freeBytes > (best?.freeBytes ?? -1)) best = { root, freeBytes };
  }
  if (best === undefined)
    throw new StageFailure(
      'storage_full',
      'this runner has no miner storage that can be reached; mount it, or start the runner with --storage id=path',
    );
  return best.root;
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
