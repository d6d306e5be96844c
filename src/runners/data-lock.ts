/**
 * One agent per DATA. Each listens on a socket of its own there, then asks at those of others: one that has died does not answer, one
 * of another container does, whose process id and files in /proc say nothing here. Of two that come at once neither may get it, never both.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { open, readdir, rename, rm } from 'node:fs/promises';
import { type Server, createConnection, createServer } from 'node:net';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { CannotRun } from './cannot-run.ts';
import { errnoOf } from './failure.ts';

/** Never used again, so that what is found dead can be removed. */
const NAME = /^runner-[0-9a-f]{8}\.sock$/;
/** The kernel takes paths of sockets up to 107 bytes, names included. */
const LONGEST_FOLDER = 80;
const ANSWER_MS = 2_000;

/** Takes DATA for this process; answers how to give it back. Throws when a living agent has it. */
export async function lockData(dataDir: string): Promise<() => Promise<void>> {
  const folder = await open(dataDir);
  try {
    const short = Buffer.byteLength(resolve(dataDir)) <= LONGEST_FOLDER ? resolve(dataDir) : `/proc/self/fd/${folder.fd}`;
    const name = `runner-${randomBytes(4).toString('hex')}.sock`;
    const file = join(dataDir, name);
    const server = await listening(`${short}/${name}.new`, dataDir);
    const unlock = async (): Promise<void> => {
      await rm(file, { force: true });
      server.close();
    };
    try {
      // It listens from the moment that it has its name.
      await rename(`${file}.new`, file);
      for (const other of (await readdir(dataDir)).filter((one) => NAME.test(one) && one !== name)) {
        const holder = await holderAt(`${short}/${other}`, dataDir);
        if (holder !== undefined)
          throw new CannotRun('configuration', `${dataDir} is in use by ${holder}; stop that one, or give this one another --data`);
        await rm(join(dataDir, other), { force: true });
      }
    } catch (error) {
      await unlock();
      throw error;
    }
    return unlock;
  } finally {
    await folder.close();
  }
}

/** Says who it is to whoever asks, for as long as this process lives. */
async function listening(path: string, dataDir: string): Promise<Server> {
  const server = createServer((asking) => {
    asking.on('error', () => undefined).unref();
    asking.end(`the runner with process id ${process.pid} on ${hostname()}`);
  });
  try {
    await once(server.listen(path), 'listening');
  } catch (error) {
    throw new CannotRun(
      'configuration',
      `${dataDir} takes no socket (${errnoOf(error)}), by which a second runner would find this one; give --data a folder that this user can write to, on a disk of this machine`,
    );
  }
  // One that cannot be answered has found it all the same.
  return server.on('error', () => undefined).unref();
}

/** Who listens there; undefined: nobody does any more. */
async function holderAt(path: string, dataDir: string): Promise<string | undefined> {
  const asking = createConnection(path).setEncoding('utf8');
  let said = '';
  asking.on('data', (text: string) => (said += text)).setTimeout(ANSWER_MS, () => asking.destroy());
  try {
    await once(asking, 'connect');
  } catch (error) {
    if (['ECONNREFUSED', 'ENOENT'].includes(errnoOf(error) ?? '')) return undefined;
    throw new Error(
      `${dataDir} may be in use: its runner cannot be asked (${errnoOf(error)}); run it as the user who has the folder, or delete its runner-*.sock when no runner is there`,
    );
  }
  await once(asking, 'close').catch(() => undefined);
  return said === '' ? 'a runner that does not answer' : said.slice(0, 200);
}
