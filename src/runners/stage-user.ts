/** The user that stages run as, where that is not the agent's own; their folder is made theirs. */
import { execFile } from 'node:child_process';
import { chmod, lchown, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CannotRun } from './cannot-run.ts';

export type StageUser = { readonly name: string; readonly uid: number; readonly gid: number };

/** `name`, `uid` or `uid:gid`. Throws a sentence when there is no such user. */
export async function findStageUser(written: string): Promise<StageUser> {
  const [, uid, gid] = /^([0-9]{1,10})(?::([0-9]{1,10}))?$/.exec(written) ?? [];
  if (uid !== undefined) return { name: written, uid: Number(uid), gid: Number(gid ?? uid) };
  const id = async (option: string): Promise<number> => {
    const { stdout } = await promisify(execFile)('id', [option, '--', written]).catch(() => {
      throw new CannotRun(
        'configuration',
        `this machine has no user ${JSON.stringify(written)}; make it, or name another one with runner.user`,
      );
    });
    return Number(stdout);
  };
  return { name: written, uid: await id('-u'), gid: await id('-g') };
}

/** Gives a work folder with all that is in it to the user, and to nobody else. */
export async function giveFolder(folder: string, user: StageUser): Promise<void> {
  await chmod(folder, 0o700);
  await giveAll(folder, user);
}

async function giveAll(folder: string, user: StageUser): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await giveAll(path, user);
    else await lchown(path, user.uid, user.gid);
  }
  await lchown(folder, user.uid, user.gid);
}
