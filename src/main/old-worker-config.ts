/**
 * Configurations of damocles' worker (and of venus-worker, its older name), which old command lines name with
 * `worker -c FILE`: they say which worker is meant, and nothing of where the control plane is.
 */
import { readFileSync } from 'node:fs';
import { parse } from 'smol-toml';
import { z } from 'zod';

/** Keys that only such a file has. */
const TELLING = ['worker', 'sector_manager', 'sealing_thread'];
/** Address and port it answers at unless the file says otherwise. */
const USUAL = { host: '127.0.0.1', port: 17_890 } as const;

const Worker = z.object({
  name: z.string().optional(),
  rpc_server: z.object({ host: z.string().optional(), port: z.number().int().optional() }).optional(),
});

/**
 * What such a file says: the worker's instance name, else the address it answers at, else nothing (`worker`
 * undefined). Undefined: the file is none of theirs, or cannot be read.
 */
export function oldWorkerConfig(path: string): { readonly worker: string | undefined } | undefined {
  let document: Record<string, unknown>;
  try {
    document = parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
  if (!TELLING.some((key) => Object.hasOwn(document, key))) return undefined;
  const { name, rpc_server: server } = Worker.catch({}).parse(document['worker'] ?? {});
  if (name !== undefined) return { worker: name };
  if (server === undefined) return { worker: undefined };
  // It listens on all addresses by default; asked it is on the machine's own.
  const host = server.host === undefined || server.host === '0.0.0.0' ? USUAL.host : server.host;
  return { worker: `${host}:${server.port ?? USUAL.port}` };
}
