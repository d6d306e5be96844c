/**
 * A process that stores the files of one sector, and is killed at one step of it: `persisting.ts STORAGE WORK STEP`. Steps are the calls
 * that change the storage; a write is two of them, the first of which leaves half of it. Without STEP it counts: `steps N`.
 */
import fs, { type FileHandle } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { createHash } from 'node:crypto';
import { join } from 'node:path';

const [storage = '', work = '', last = '0'] = process.argv.slice(2);
let step = 0;
function count(): void {
  step += 1;
  if (step === Number(last)) process.kill(process.pid, 'SIGKILL');
}
const inside = (path: unknown): boolean => String(path).startsWith(storage);

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
  const write = handle.write.bind(handle) as unknown as (bytes: Uint8Array, at: number, size?: number) => Promise<{ bytesWritten: number }>;
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

const { persist } = await import('../../src/runners/persist.ts');
const { StorageWatch } = await import('../../src/runners/storage-paths.ts');
const roots = [{ id: 'main', path: storage }];
const names = { sealed: 'sealed/s-t01000-7', 'cache/p_aux': 'cache/s-t01000-7/p_aux', 'cache/t_aux': 'cache/s-t01000-7/t_aux' };
const inputs = await Promise.all(
  Object.keys(names).map(async (name) => {
    const bytes = await fs.readFile(join(work, 'in', name));
    return { name, url: '', sizeBytes: String(bytes.length), hash: `sha256:${createHash('sha256').update(bytes).digest('hex')}` };
  }),
);
await persist({
  grant: { attempt: 'a-killed0001' as never, inputs },
  work: {
    kind: 'persist',
    storage: 'main',
    files: Object.entries(names).map(([artifact, path]) => ({ artifact, path })),
    sectorJson: { path: 'cache/s-t01000-7/sector.json', content: { version: 2 } },
  },
  workDir: work,
  roots,
  watch: new StorageWatch(roots, work),
  progress: { note: () => undefined },
  signal: new AbortController().signal,
});
process.stdout.write(`steps ${step}\n`);
