/** `TOPOLOGY=three STORE=s3`: what the runners reach besides the control plane, and that none of them has a key. */
import { join } from 'node:path';
import { placesOf } from './find-key.ts';
import { HUB_ADDRESS, inside } from './namespaces.ts';
import { printLine } from './progress-line.ts';
import type { S3Store } from './s3-store.ts';

const TRY = join(import.meta.dirname, 'try-connect.ts');

/** A runner in a namespace of its own. */
export type Machine = { readonly name: string; readonly pid: string; readonly address: string; readonly healthPort: string };

/** Tries to connect from a machine; answers what came of it. */
export function tried({ pid }: Machine, host: string, to: string): string {
  return inside(pid, process.execPath, '--disable-warning=ExperimentalWarning', TRY, host, to);
}

/** Each machine reaches the S3 endpoint and no other part of the server. Throws where that is not so. */
export function showS3Only(machines: readonly Machine[], s3: S3Store): void {
  for (const machine of machines) {
    const answer = tried(machine, HUB_ADDRESS, new URL(s3.endpoint).port);
    printLine(`${machine.name} → S3 endpoint: ${answer}`);
    if (answer !== 'connected') throw new Error(`${machine.name} does not reach ${s3.endpoint}: ${answer}`);
    const open = s3.inner.filter((port) => tried(machine, HUB_ADDRESS, String(port)) === 'connected');
    if (open.length > 0) throw new Error(`${machine.name} reaches ports ${open.join(', ')} of SeaweedFS, which ask for no key`);
  }
}

/** No machine has the key: not in arguments, environment, memory or files. The control plane has it, which shows that the search sees. */
export function showNoKey(machines: readonly Machine[], { key }: S3Store, dataDir: string, plane: string): void {
  // The key's id stands in every signed URL, and opens nothing.
  const secrets = [key.secretKey];
  const seen = placesOf(secrets, plane, []);
  printLine(`\nThe S3 secret key is in ${seen.join(', ') || 'no place'} of the control plane`);
  if (seen.length === 0) throw new Error('the search for the key does not find it where it must be');
  for (const { name, pid } of machines) {
    const found = placesOf(secrets, pid, [join(dataDir, name), join(dataDir, 'logs', `${name}.log`)]);
    printLine(`${name}: the secret key is in ${found.join(', ') || 'none of its arguments, environment, memory, files and log'}`);
    if (found.length > 0) throw new Error(`${name} has the S3 key`);
  }
}
