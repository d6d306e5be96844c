/** How fast this machine hashes, writes and reads: measured once, and kept in DATA so that a restart is quick. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { open, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Speeds } from '../schema/runner.ts';

const CHUNK_BYTES = 2 ** 20;
const MOST_WRITTEN_BYTES = 256 * CHUNK_BYTES;
const HASHING_MS = 300;
const WRITING_MS = 1_000;
const KEPT_MS = 7 * 24 * 3_600_000;

/** Megabytes (10^6) a second. Never fails: what cannot be measured is left out. */
export async function measureSpeeds(dataDir: string, nowMs: number): Promise<Speeds> {
  const file = join(dataDir, 'speeds.json');
  const kept = await readFile(file, 'utf8').then(
    (text) => Speeds.safeParse(jsonOf(text)).data,
    () => undefined,
  );
  if (kept !== undefined && nowMs >= kept.measuredMs && nowMs - kept.measuredMs < KEPT_MS) return kept;
  const disk = await measureDisk(join(dataDir, 'speeds.tmp')).catch(() => ({}));
  const speeds = { measuredMs: nowMs, hashMbPerSecond: await measureHash(), ...disk };
  await writeFile(file, JSON.stringify(speeds)).catch(() => undefined);
  return speeds;
}

/** SHA-256, which PC1 is made of; in short turns, so that heartbeats go on meanwhile. */
async function measureHash(): Promise<number> {
  const chunk = Buffer.alloc(CHUNK_BYTES, 1);
  const hash = createHash('sha256');
  const startedMs = performance.now();
  let bytes = 0;
  while (performance.now() - startedMs < HASHING_MS) {
    hash.update(chunk);
    bytes += chunk.length;
    await new Promise(setImmediate);
  }
  return perSecond(bytes, performance.now() - startedMs);
}

async function measureDisk(path: string): Promise<{ diskWriteMbPerSecond: number; diskReadMbPerSecond?: number }> {
  const chunk = Buffer.alloc(CHUNK_BYTES, 1);
  const file = await open(path, 'w');
  try {
    const startedMs = performance.now();
    let bytes = 0;
    while (bytes < MOST_WRITTEN_BYTES && performance.now() - startedMs < WRITING_MS) {
      await file.write(chunk);
      bytes += chunk.length;
    }
    await file.sync();
    const diskWriteMbPerSecond = perSecond(bytes, performance.now() - startedMs);
    const diskReadMbPerSecond = await measureRead(path, bytes);
    return { diskWriteMbPerSecond, ...(diskReadMbPerSecond === undefined ? {} : { diskReadMbPerSecond }) };
  } finally {
    await file.close();
    await rm(path, { force: true });
  }
}

/** Past the page cache, which would be memory's speed; undefined where dd or the file system cannot do that. */
async function measureRead(path: string, bytes: number): Promise<number | undefined> {
  const startedMs = performance.now();
  const args = [`if=${path}`, 'of=/dev/null', 'bs=1M', 'iflag=direct', 'status=none'];
  const read = await promisify(execFile)('dd', args, { timeout: 5_000 }).catch(() => undefined);
  return read === undefined ? undefined : perSecond(bytes, performance.now() - startedMs);
}

const perSecond = (bytes: number, ms: number): number => Math.max(1, Math.round(bytes / 1_000 / Math.max(1, ms)));

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
