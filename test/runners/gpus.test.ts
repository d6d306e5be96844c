/** Cards of machines that are not here: a tool of the same name on the PATH prints what theirs print. */
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findGpus } from '../../src/runners/gpus.ts';
import { Gpu } from '../../src/schema/runner.ts';
import { eventually, isRunning } from './agent-fixture.ts';

const MACHINES = join(import.meta.dirname, 'inventory');
const GIB = 2 ** 30;
const MIB = 2 ** 20;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tools-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function tool(name: string, script: string): void {
  writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`);
  chmodSync(join(folder, name), 0o755);
}

/** A tool that prints the machine's file for the arguments it gets, and ends as that one did. */
function machine(name: string, path: string): void {
  const of = join(MACHINES, path);
  tool(
    name,
    `case "$*" in
  "--query-gpu=index,name,memory.total,driver_version,mig.mode.current --format=csv,noheader,nounits") file=query ;;
  "--query-gpu=index,name,memory.total,driver_version --format=csv,noheader,nounits") file=old-query ;;
  "-L") file=list ;;
  "--showproductname --showmeminfo vram --showdriverversion --json") file=json ;;
  *) echo "no such option: $*"; exit 2 ;;
esac
/bin/cat '${of}/'$file || exit 1
[ ! -f '${of}/'$file.exit ] || exit "$(/bin/cat '${of}/'$file.exit)"`,
  );
}

async function found(timeoutMs?: number): Promise<Gpu[]> {
  const gpus = await findGpus({ PATH: folder }, timeoutMs);
  for (const gpu of gpus) expect(Gpu.parse(gpu)).toEqual(gpu);
  return gpus;
}

test('no tool, no cards', async () => {
  expect(await found()).toEqual([]);
});

const nvidia: [string, Gpu[]][] = [
  ['one-card', [{ model: 'NVIDIA GeForce RTX 4090', vramBytes: 24_564 * MIB, driver: '550.54.15' }]],
  ['eight-cards', Array.from({ length: 8 }, () => ({ model: 'NVIDIA H100 80GB HBM3', vramBytes: 81_559 * MIB, driver: '535.161.08' }))],
  [
    'mig',
    [
      { model: 'NVIDIA A100-SXM4-40GB MIG 3g.20gb', vramBytes: 20 * GIB, driver: '535.104.12' },
      { model: 'NVIDIA A100-SXM4-40GB MIG 2g.10gb', vramBytes: 10 * GIB, driver: '535.104.12' },
      { model: 'NVIDIA A100-SXM4-40GB MIG 1c.1g.5gb', vramBytes: 5 * GIB, driver: '535.104.12' },
      { model: 'NVIDIA A100-SXM4-40GB', vramBytes: 40 * GIB, driver: '535.104.12' },
    ],
  ],
  ['mig-uncut', []],
  ['shared-memory', [{ model: 'NVIDIA GB10', vramBytes: 0, driver: '580.95.05' }]],
  [
    'old-driver',
    [
      { model: 'GeForce GTX 1080 Ti', vramBytes: 11_178 * MIB, driver: '390.157' },
      { model: 'GeForce GTX 1080 Ti', vramBytes: 11_175 * MIB, driver: '390.157' },
    ],
  ],
  ['lost-card', [{ model: 'NVIDIA GeForce RTX 3090', vramBytes: 24_576 * MIB, driver: '550.54.15' }]],
  ['no-driver', []],
  ['no-devices', []],
];
test.each(nvidia)('nvidia-smi: %s', async (name, gpus) => {
  machine('nvidia-smi', `nvidia/${name}`);
  expect(await found()).toEqual(gpus);
});

const MI300X = { model: 'AMD Instinct MI300X VF', vramBytes: 206_141_652_992, driver: '6.10.5' };
const amd: [string, Gpu[]][] = [
  ['two-cards', [MI300X, MI300X]],
  ['older', [{ model: 'Radeon RX 6800 XT', vramBytes: 17_163_091_968, driver: '5.18.13' }]],
  ['warned', [{ model: 'AMD Radeon 8060S Graphics', vramBytes: 0 }]],
  ['broken', []],
];
test.each(amd)('rocm-smi: %s', async (name, gpus) => {
  machine('rocm-smi', `rocm/${name}`);
  expect(await found()).toEqual(gpus);
});

test('cards of both makers', async () => {
  machine('nvidia-smi', 'nvidia/one-card');
  machine('rocm-smi', 'rocm/older');
  expect((await found()).map(({ model }) => model)).toEqual(['NVIDIA GeForce RTX 4090', 'Radeon RX 6800 XT']);
});

test('a tool that hangs is ended with what it started, and costs no other its answer', async () => {
  tool('nvidia-smi', `echo $$ > '${folder}/pid'\n/bin/sleep 600 &\necho $! > '${folder}/child'\nwait`);
  machine('rocm-smi', 'rocm/older');
  expect((await found(1_500)).map(({ model }) => model)).toEqual(['Radeon RX 6800 XT']);
  for (const name of ['pid', 'child']) {
    expect(existsSync(join(folder, name))).toBe(true);
    const pid = Number(readFileSync(join(folder, name), 'utf8'));
    await eventually(() => isRunning(pid)).toBe(false);
  }
});

test('a tool that writes without end is ended too', async () => {
  tool('nvidia-smi', 'while :; do echo "0, a card, 1, 1, Disabled"; done');
  expect(await found(15_000)).toEqual([]);
});
