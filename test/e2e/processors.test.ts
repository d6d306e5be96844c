/**
 * External processors in a real deployment: PC2 by the prover's own processor mode and C2 by a small foreign one for
 * runners with the label `gpu-a`; a runner without the label has the same table and does both by the usual prover.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { SectorDetail } from '../../src/api/client.ts';
import { REAL_PROVER } from '../replay-prover/replay-prover.ts';
import { Deployment } from './processes.ts';

const FOREIGN = join(import.meta.dirname, '../runners/foreign-processor.ts');
let deployment: Deployment;
beforeAll(async () => void (deployment = await Deployment.start()));
afterAll(async () => deployment.end());

const record = (): string => join(deployment.folder, 'record');
const common = { label: 'gpu-a', locks: ['gpu'], stable_wait: '60s' };
const table = (): object => ({
  ext_locks: { gpu: 1 },
  pc2: [{ ...common, bin: REAL_PROVER, args: ['processor', 'pc2', '--network', 'dev'] }],
  c2: [{ ...common, bin: process.execPath, args: ['--disable-warning=ExperimentalWarning', FOREIGN, 'c2', record()] }],
});
const environment = (): Record<string, string> => ({ SEALPOOL_RUNNER_PROCESSORS: JSON.stringify(table()) });
const log = (runner: string): string => readFileSync(join(deployment.folder, `runner-${runner}.log`), 'utf8');
const processors = (runner: string): string[] => [...log(runner).matchAll(/"processor":"(\w+)"/g)].map(([, name]) => name as string);

async function whoDid(detail: SectorDetail): Promise<Record<string, string | undefined>> {
  const { items } = await deployment.client.runners();
  const names = new Map(items.map(({ id, name }) => [id, name]));
  return Object.fromEntries(detail.attempts.map(({ stage, runner }) => [stage, names.get(runner)]));
}

test('a sector whose PC2 and C2 went through processors, and one whose did not', { timeout: 60_000 }, async () => {
  await deployment.addRunner('rest', { stages: ['AddPiece', 'BuildTreeD', 'PC1', 'C1', 'Verify', 'CheckSealed', 'Persist', 'Publish'] });
  await deployment.addRunner('gpu', { stages: ['PC2', 'C2'], labels: ['gpu-a'], environment: environment() });
  const [first = ''] = await deployment.pledge();
  expect(await whoDid(await deployment.finished(first))).toMatchObject({ PC1: 'rest', PC2: 'gpu', C2: 'gpu' });
  expect(processors('gpu')).toEqual(['pc2', 'c2']);
  const proved = readFileSync(record(), 'utf8');
  expect(proved).toBe('begin c2\nend c2\n');
  expect(await deployment.runners.get('gpu')?.end('SIGTERM')).toBe(0);

  await deployment.addRunner('plain', { stages: ['PC2', 'C2'], labels: ['gpu-b'], environment: environment() });
  const [second = ''] = await deployment.pledge();
  expect(await whoDid(await deployment.finished(second))).toMatchObject({ PC2: 'plain', C2: 'plain' });
  expect(processors('plain')).toEqual([]);
  expect(readFileSync(record(), 'utf8')).toBe(proved);
});
