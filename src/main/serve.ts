/** `sealpool serve`: the control plane until it is asked to end. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from './config.ts';
import { startControlPlane } from './node.ts';
import { askedToEnd, printReady } from './ready.ts';

/** Serves until asked to end; rejects when it cannot start or its database fails. */
export async function serve(config: Config): Promise<void> {
  const asked = askedToEnd();
  const controlPlane = await startControlPlane(config);
  // So that commands with the same --data find it, whatever port it got.
  await writeFile(join(config.data, 'control-plane.url'), `${controlPlane.url}\n`);
  const { url, listening, tokenFile, warning } = controlPlane;
  printReady({ ready: true, url, listening, tokenFile, ...(warning === undefined ? {} : { warning }) });
  const failure = await Promise.race([asked.then(() => undefined), controlPlane.failed]);
  if (failure === undefined) {
    await controlPlane.close();
    return;
  }
  // The database's state is unknown: nothing more is written, a restart reads it again.
  process.stderr.write(`the control plane ends: ${failure.message}\n`);
  process.exit(1);
}
