/** `sealpool backup FILE`. */
import { createHash } from 'node:crypto';
import { type FileHandle, access, open, rename, rm } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { type Command, type Session, UsageError, argument } from '../command.ts';

type Kept = { readonly sizeBytes: number; readonly hash: string };

/** Writes a stream whole and on the disk; answers what was written. */
async function writeAll(file: FileHandle, body: ReadableStream<Uint8Array>): Promise<Kept> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  for await (const bytes of body) {
    hash.update(bytes);
    for (let at = 0; at < bytes.length;) at += (await file.write(bytes, at)).bytesWritten;
    sizeBytes += bytes.length;
  }
  await file.sync();
  return { sizeBytes, hash: `sha256:${hash.digest('hex')}` };
}

/** Makes the name durable: without it the file can be gone after a power cut. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  await handle.sync().finally(() => handle.close());
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

async function backup({ client, values, positionals, show }: Session): Promise<void> {
  const path = resolve(argument(positionals, 0));
  const draft = `${path}.part`;
  if (values['force'] !== true && (await isThere(path)))
    throw new UsageError(`${path} is there already; name another file, or replace it with --force`);
  const file = await open(draft, 'w', 0o600).catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(`${draft} cannot be written (${error.code}); name a file in a folder that is there and yours`);
  });
  try {
    // A draft of an earlier run keeps its mode otherwise.
    await file.chmod(0o600);
    const given = await client.backup();
    const kept = await writeAll(file, given.body);
    if (kept.sizeBytes !== given.sizeBytes || kept.hash !== given.hash)
      throw new Error(`the backup arrived damaged (${kept.sizeBytes} of ${given.sizeBytes} bytes); run the command again`);
    await file.close();
    await rename(draft, path);
    await syncFolder(dirname(path));
    show(
      { file: path, ...kept },
      () =>
        `${path}: ${kept.sizeBytes} bytes, ${kept.hash}\nit holds token hashes and signed messages (mode 0600): keep it as you keep a password`,
    );
  } catch (error) {
    await file.close().catch(() => undefined);
    await rm(draft, { force: true });
    throw error;
  }
}

export const BACKUP_COMMANDS: readonly Command[] = [
  {
    words: 'backup',
    takes: 'FILE [--force]',
    about: 'copy the database into FILE while everything goes on; sealpool restore brings it back',
    options: { force: { type: 'boolean' } },
    positionals: [1, 1],
    run: backup,
  },
];
