/**
 * Counts the calls of this process that change what is below a folder, and ends it by SIGKILL at one of them. A write is two: the first
 * leaves half of it. To be set up before the modules that are to be killed are imported.
 */
import fs, { type FileHandle } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';

/** `last` 0: only counts. Answers how many there were so far. */
export function killedAtStep(folder: string, last: number): () => number {
  let step = 0;
  const count = (): void => {
    step += 1;
    if (step === last) process.kill(process.pid, 'SIGKILL');
  };
  const inside = (path: unknown): boolean => String(path).startsWith(folder);
  for (const name of ['mkdir', 'rename', 'rm', 'rmdir'] as const) {
    const real = fs[name] as (...args: unknown[]) => Promise<unknown>;
    (fs as unknown as Record<string, unknown>)[name] = async (...args: unknown[]) => {
      if (inside(args[0])) count();
      return real(...args);
    };
  }
  const open = fs.open;
  (fs as { open: unknown }).open = async (...args: Parameters<typeof open>): Promise<FileHandle> => {
    if (inside(args[0]) && args[1] === 'wx') count();
    const handle = await open(...args);
    if (!inside(args[0])) return handle;
    const write = handle.write.bind(handle) as unknown as (
      bytes: Uint8Array,
      at: number,
      size?: number,
    ) => Promise<{ bytesWritten: number }>;
    const sync = handle.sync.bind(handle);
    Object.assign(handle, {
      write: async (bytes: Uint8Array, at: number) => {
        const half = Math.ceil((bytes.length - at) / 2);
        const answer = await write(bytes, at, half);
        count();
        return answer;
      },
      sync: async () => {
        count();
        return sync();
      },
    });
    return handle;
  };
  syncBuiltinESMExports();
  return () => step;
}
