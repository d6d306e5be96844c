/** An agent that lies about its files: refused by name, quarantined with the evidence, no message, and the sector finishes elsewhere. */
import { afterEach, expect, test } from 'vitest';
import { createClient } from '../../src/api/client.ts';
import type { Grant, Report } from '../../src/schema/runner.ts';
import { Stage } from '../../src/schema/stage.ts';
import { Deployment } from './processes.ts';

type Outputs = Extract<Report, { outcome: 'done' }>['outputs'];

let deployment: Deployment;
afterEach(() => deployment.end());

const HASH = `sha256:${'ab'.repeat(32)}`;
const RESOURCES = { cores: 2, ramBytes: 2 ** 34, diskFreeBytes: 2 ** 40, gpus: [] };
const BOOT = 'boot-of-a-liar';
/** What was asked for, of the right sizes. */
const asked = ({ outputs }: Grant): Outputs =>
  outputs.map(({ name, maxSizeBytes }) => ({
    name,
    sizeBytes: /sealed$|layer/.test(name) ? '2048' : String(Math.min(64, Number(maxSizeBytes))),
    hash: HASH,
    parts: [{ number: 1, etag: '"made-up"' }],
  }));
const sized = (outputs: Outputs, name: string, sizeBytes: string): Outputs =>
  outputs.map((output) => (output.name === name ? { ...output, sizeBytes } : output));

test.each([
  ['missing', (grant: Grant) => asked(grant).filter(({ name }) => name !== 'cache/p_aux'), 'its output cache/p_aux is missing'],
  ['extra', (grant: Grant) => [...asked(grant), { name: 'wallet.dat', sizeBytes: '7', hash: HASH, parts: [] }], 'it returned wallet.dat'],
  ['empty', (grant: Grant) => sized(asked(grant), 'cache/t_aux', '0'), 'its output cache/t_aux is empty'],
  ['cut short', (grant: Grant) => sized(asked(grant), 'sealed', '2047'), 'its output sealed has 2047 bytes and not 2048'],
  ['oversized', (grant: Grant) => sized(asked(grant), 'cache/p_aux', String(2 ** 40)), 'its output cache/p_aux has 1099511627776 bytes'],
] as const)('%s', { timeout: 180_000 }, async (_, lie, said) => {
  deployment = await Deployment.start({ settings: { SEALPOOL_SCHEDULER_SELF_TEST: 'off' } });
  const { client, url } = deployment;
  await deployment.addRunner('own', { stages: Stage.options.filter((stage) => stage !== 'PC2') });
  const { token } = await client.createJoinToken({ trust: 'rented' });
  const who = { token, name: 'liar', bootId: BOOT, agentVersion: '0' };
  const { credential } = await createClient({ baseUrl: url }).register({ ...who, stages: ['PC2'], storage: [], resources: RESOURCES });
  const self = createClient({ baseUrl: url, token: credential });
  const [job = ''] = await deployment.pledge();
  const ask = { bootId: BOOT, running: [], reports: [], resources: RESOURCES, waitMs: 20_000, freeSlots: 1 };
  let grants: Grant[] = [];
  while (grants.length === 0) ({ grants } = await self.next(ask));
  const [grant] = grants as [Grant];
  const { attempt, epoch } = grant;
  const report = { outcome: 'done' as const, attempt, epoch, outputs: [...lie(grant)], result: { commR: 'x' } } satisfies Report;
  const { reports } = await self.next({ ...ask, freeSlots: 0, waitMs: 0, running: [{ attempt, epoch }], reports: [report] });
  expect(reports).toMatchObject([{ status: 'refused', message: expect.stringContaining(said) }]);
  const liar = (await client.runners()).items.find(({ name }) => name === 'liar');
  expect(liar).toMatchObject({ status: 'quarantined', reason: expect.stringContaining(said) });
  const [struck] = (await client.events(0, 1_000, { type: ['runner.struck'] })).items;
  expect(struck?.detail).toMatchObject({ lied: true, evidence: { attempt, stage: 'PC2', outputCount: report.outputs.length } });
  expect(await deployment.messages()).toEqual([]);
  await deployment.addRunner('honest', { stages: ['PC2'] });
  const { job: finished } = await deployment.finished(job);
  expect(finished.state).toBe('Finished');
  expect((await deployment.messages()).map(({ method, exitCode }) => [method, exitCode])).toEqual([
    [28, 0],
    [34, 0],
  ]);
});
