/** Files of backup tests. */
import { createHash } from 'node:crypto';
import { createWriteStream, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream as NodeReadableStream } from 'node:stream/web';
import { onTestFinished } from 'vitest';
import type { DatabaseCopy } from '../../src/store/backup.ts';

/** A folder that goes with the test. */
export function freshFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'sealpool-backup-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export function sha256(path: string): string {
  return `sha256:${createHash('sha256').update(readFileSync(path)).digest('hex')}`;
}

/** Writes a copy to a file; answers the file. */
export async function fileOf(copy: DatabaseCopy, path: string): Promise<string> {
  await pipeline(Readable.fromWeb(copy.body as NodeReadableStream), createWriteStream(path));
  return path;
}
