/** Starts `sealpool dev` and waits until it serves. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';

/** What `sealpool dev` says of itself once it serves. */
export interface DevReady {
  readonly url: string;
  readonly tokenFile: string;
  /** The dev chain's, where `GET /messages` is. */
  readonly chainUrl: string;
}

export interface DevProcess extends DevReady {
  /** Ends it and all its children; resolves when they are gone. */
  end(): Promise<void>;
  /** Rejects when it ends by itself. */
  readonly died: Promise<never>;
  /** What is to be shown once the sector is done. */
  show?(): void;
}

/** Rejects with what it printed when it ends before it serves. */
export async function startDev(root: string, dataDir: string, environment: Readonly<Record<string, string>> = {}): Promise<DevProcess> {
  // The channel ends it with us, even after a kill -9.
  const child = spawn(join(root, 'bin/sealpool'), ['dev', '--data', dataDir, '--port', '0'], {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  const errors: string[] = [];
  createInterface({ input: child.stderr as Readable }).on('line', (line) => {
    errors.push(line);
    if (errors.length > 20) errors.shift();
  });
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const died = closed.then((): never => {
    throw new Error(`sealpool dev ended with ${child.exitCode ?? child.signalCode}; its logs are in ${dataDir}\n${errors.join('\n')}`);
  });
  died.catch(() => undefined);
  const ready = new Promise<DevReady>((resolve) => {
    createInterface({ input: child.stdout as Readable }).on('line', (line) => {
      if (line.startsWith('{"ready":true')) resolve(JSON.parse(line) as DevReady);
    });
  });
  const end = async (): Promise<void> => {
    child.kill('SIGTERM');
    await closed;
  };
  return { ...(await Promise.race([ready, died])), end, died };
}
