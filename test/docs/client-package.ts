/** The package as another project has it: `sealpool/client` as JavaScript with declarations, in a node_modules folder. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ROOT } from '../e2e/processes.ts';

const TSC = join(ROOT, 'node_modules/typescript/bin/tsc');

/** Runs the compiler; throws what it finds wrong. */
export function compile(args: readonly string[], cwd: string): void {
  const run = spawnSync(process.execPath, [TSC, ...args], { cwd, encoding: 'utf8' });
  if (run.status !== 0) throw new Error(`tsc ${args.join(' ')} ended with ${run.status}:\n${run.stdout}${run.stderr}`);
}

/** Puts the package there, compiled as `npm pack` does, with the packages that its declarations name. */
export function installClient(nodeModules: string): void {
  const own = join(nodeModules, 'sealpool');
  mkdirSync(own, { recursive: true });
  copyFileSync(join(ROOT, 'package.json'), join(own, 'package.json'));
  compile(['-p', join(ROOT, 'tsconfig.client.json'), '--outDir', join(own, 'dist')], ROOT);
  linkPackages(nodeModules);
}

/** What the declarations need of the package's dependencies. */
export function linkPackages(nodeModules: string): void {
  mkdirSync(dirname(join(nodeModules, 'zod')), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules/zod'), join(nodeModules, 'zod'));
}
