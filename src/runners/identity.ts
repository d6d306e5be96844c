/** DATA/runner.json: who this runner is to its control plane, kept with mode 0600. */
import { open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { RegisterAnswer } from '../schema/runner.ts';
import type { z } from 'zod';
import { CannotRun } from './cannot-run.ts';
import { errnoOf } from './failure.ts';

export type Identity = z.infer<typeof RegisterAnswer>;

const file = (dataDir: string): string => join(dataDir, 'runner.json');

/** The kept identity, or `undefined` when there is none. Throws a sentence when the file is damaged. */
export async function readIdentity(dataDir: string): Promise<Identity | undefined> {
  let text: string;
  try {
    text = await readFile(file(dataDir), 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return RegisterAnswer.parse(JSON.parse(text));
  } catch {
    throw new CannotRun(
      'configuration',
      `${file(dataDir)} is not readable as a runner's identity; delete it and start the runner with a new join token`,
    );
  }
}

/** Keeps it: whole or not at all, and durable, since the join token that made it is used up. */
export async function keepIdentity(dataDir: string, identity: Identity): Promise<void> {
  const draft = `${file(dataDir)}.tmp`;
  const handle = await open(draft, 'w', 0o600);
  try {
    await handle.writeFile(`${JSON.stringify(identity, null, 2)}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(draft, file(dataDir));
  const folder = await open(dataDir, 'r');
  await folder.sync();
  await folder.close();
}
