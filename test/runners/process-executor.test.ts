/** Stages as child processes: with all that this machine allows, without cgroups, and as a user of their own. */
import { spawnSync } from 'node:child_process';
import { describe } from 'vitest';
import { StageGroups } from '../../src/runners/cgroups.ts';
import { executorSuite } from './executor-conformance.ts';
import type { ExecutorWish } from './open-wish.ts';

const isRoot = process.getuid?.() === 0;
const groups = await StageGroups.open('0000000000000000');
await groups?.close();
const unshares = (...spaces: string[]): boolean =>
  spawnSync('unshare', [...(isRoot ? [] : ['--user', '--map-current-user']), ...spaces, 'true']).status === 0;
/** What needs nothing but a kernel is always there; the rest as far as this machine allows it. */
const allowed: Readonly<Record<string, boolean>> = {
  network: unshares('--net'),
  memory: groups?.bounds.has('memory') === true,
  processes: groups?.bounds.has('pids') === true,
  daemons: groups !== undefined || unshares('--pid', '--fork'),
};

function suite(wish: (dataDir: string) => ExecutorWish, wanted: readonly string[]): void {
  const isLacking = (what: string): boolean => allowed[what] === false;
  executorSuite(
    wish,
    wanted.filter((what) => !isLacking(what)),
    wanted.filter(isLacking),
  );
}

describe.runIf(groups !== undefined)('processes in cgroups', () => {
  suite((dataDir) => ({ dataDir, id: '00000000000000a1' }), ['network', 'disk', 'capabilities', 'memory', 'processes', 'daemons']);
});

describe('processes without cgroups', () => {
  suite((dataDir) => ({ dataDir, id: '00000000000000a2', useCgroups: false }), ['network', 'disk', 'capabilities', 'daemons']);
});

describe.runIf(isRoot && groups !== undefined)('processes of another user', () => {
  suite(
    (dataDir) => ({ dataDir, id: '00000000000000a3', user: '64321:64321' }),
    ['network', 'disk', 'capabilities', 'memory', 'processes', 'user', 'daemons'],
  );
});
