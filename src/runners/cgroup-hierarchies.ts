/** Which cgroup hierarchies this machine has, and where in them the agent may make groups. */
import { mkdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from './failure.ts';

/** `pids` counts processes and threads. */
export type Controller = 'memory' | 'pids';
const CONTROLLERS: readonly Controller[] = ['memory', 'pids'];

export type Hierarchy = { readonly version: 1 | 2; readonly folder: string; readonly controllers: readonly Controller[] };

/** The group of a process, the agent's own by default, in each hierarchy that has something for us. */
export async function findHierarchies(pid: number | 'self' = 'self'): Promise<Hierarchy[]> {
  const read = (file: string): Promise<string> => readFile(file, 'utf8').catch(() => '');
  return readHierarchies(await read(`/proc/${pid}/cgroup`), await read('/proc/self/mountinfo'));
}

/** The same, from the two files of `/proc/self`. */
export function readHierarchies(cgroup: string, mountinfo: string): Hierarchy[] {
  const mounts = mountinfo.split('\n').flatMap((line) => {
    const [before = '', after = ''] = line.split(' - ');
    const [, , , root = '', at = ''] = before.split(' ');
    const [type = '', , options = ''] = after.split(' ');
    return type === 'cgroup' || type === 'cgroup2' ? [{ root, at, type, options: options.split(',') }] : [];
  });
  return cgroup.split('\n').flatMap((line): Hierarchy[] => {
    const [id = '', names = '', ...rest] = line.split(':');
    const path = rest.join(':');
    if (id === '' || path === '') return [];
    const isSecond = id === '0' && names === '';
    const controllers = isSecond ? CONTROLLERS : CONTROLLERS.filter((name) => names.split(',').includes(name));
    const [first] = controllers;
    const mount = mounts.find(({ type, options }) =>
      isSecond ? type === 'cgroup2' : type === 'cgroup' && first !== undefined && options.includes(first),
    );
    if (mount === undefined || first === undefined) return [];
    const below = path.startsWith(mount.root) ? path.slice(mount.root.length) : path;
    return [{ version: isSecond ? 2 : 1, folder: join(mount.at, below), controllers }];
  });
}

/** Makes the folder `name` in a hierarchy, in which groups can be made; its controllers are those that count there. */
export async function makeRoom({ version, folder, controllers }: Hierarchy, name: string): Promise<Hierarchy> {
  const home = join(folder, name);
  if (version === 1) {
    await mkdir(home, { recursive: true });
    return { version, folder: home, controllers };
  }
  const present = (await readFile(join(folder, 'cgroup.controllers'), 'utf8')).split(/\s+/);
  const wanted = controllers.filter((controller) => present.includes(controller));
  const passed = wanted.length > 0 && (await passOn(folder, wanted, `${name}-agent`)) ? wanted : [];
  await mkdir(home, { recursive: true });
  if (passed.length > 0) await enable(home, passed);
  return { version, folder: home, controllers: passed };
}

/** Lets groups below `folder` have the controllers; false when that is not allowed. */
async function passOn(folder: string, controllers: readonly Controller[], leaf: string): Promise<boolean> {
  try {
    await enable(folder, controllers);
    return true;
  } catch (error) {
    if (errnoOf(error) !== 'EBUSY') return false;
  }
  // A group that has processes of its own passes nothing on: the agent moves one level down. Where others are in it too, it goes back.
  const own = join(folder, leaf);
  try {
    await mkdir(own, { recursive: true });
    await writeFile(join(own, 'cgroup.procs'), String(process.pid));
    await enable(folder, controllers);
    return true;
  } catch {
    await writeFile(join(folder, 'cgroup.procs'), String(process.pid)).catch(() => undefined);
    await rmdir(own).catch(() => undefined);
    return false;
  }
}

const enable = (folder: string, controllers: readonly Controller[]): Promise<void> =>
  writeFile(join(folder, 'cgroup.subtree_control'), controllers.map((name) => `+${name}`).join(' '));
