/** What hosts get that are to become runners, and how a runner is told of other software. */
import { createHash } from 'node:crypto';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createApp } from '../../src/api/app.ts';
import { runnerFiles } from '../../src/main/runner-files.ts';
import { effectDone } from '../../src/scheduler/outbox.ts';
import { RunnerOffer } from '../../src/schema/runner-offer.ts';
import type { NextAnswer, RegisterAnswer, Software } from '../../src/schema/runner.ts';
import type { RunnerView } from '../../src/api/views.ts';
import { sectorRecord, storageMove, storagePath } from '../store/rows.ts';
import { AGENT, ApiWorld, BOOT, OURS, RESOURCES } from './api-world.ts';

const hex = (text: string): string => createHash('sha256').update(text).digest('hex');
const hash = (text: string): string => `sha256:${hex(text)}`;

let world: ApiWorld;
let runner: RegisterAnswer;
beforeEach(async () => {
  world = await ApiWorld.open();
  runner = await world.runner();
});
afterEach(() => world.close());

const NEXT = { bootId: BOOT, freeSlots: 1, running: [], reports: [], resources: RESOURCES, waitMs: 0 };
const next = async (more: object = {}): Promise<NextAnswer> =>
  (await world.call('POST', '/v1/runners/self/next', { token: runner.credential, body: { ...NEXT, ...more } })).json as NextAnswer;
const runs = (more: Partial<Software> = {}): { software: Software } => ({
  software: { version: '9', arch: process.arch, agent: hash(AGENT), prover: hash('a prover'), upgrades: true, ...more },
});

test('the script names the control plane and the hashes, quoted, and holds no secret', async () => {
  const { status, text } = await world.call('GET', '/runner.sh');
  expect(status).toBe(200);
  expect(text).toContain("url='https://control.test'\n");
  for (const wanted of [`arch='${process.arch}'`, `agent='${hex(AGENT)}'`, `prover='${hex('a prover')}'`, "image=''"])
    expect(text).toContain(wanted);
  expect(text).not.toMatch(/@[A-Z_]+@|sp-(join|api|run)-/);
  const evil = createApp({
    ...world.parts,
    runnerFiles: runnerFiles(
      { agent: join(world.folder, 'agent.mjs'), prover: join(world.folder, 'prover'), runner_image: undefined },
      '1',
      () => "https://a.test/'; touch x; '\n",
    ),
  });
  expect(await (await evil.request('/runner.sh')).text()).toContain(String.raw`url='https://a.test/'\''; touch x; '\''`);
});

test('a file comes by its hash, with its length; what is not handed out is 404, also by what would be a path', async () => {
  const answer = await world.app.request(`/runner/${hex('a prover')}`);
  expect([answer.status, answer.headers.get('content-length'), answer.headers.get('etag'), await answer.text()]).toEqual([
    200,
    '8',
    `"${hex('a prover')}"`,
    'a prover',
  ]);
  expect(answer.headers.get('cache-control')).toContain('immutable');
  expect(RunnerOffer.parse((await world.call('GET', '/runner/files')).json)).toMatchObject({
    agent: { hash: hash(AGENT), sizeBytes: AGENT.length },
    image: null,
  });
  expect((await world.call('GET', `/runner/${'0'.repeat(64)}`)).json).toMatchObject({ status: 404, code: 'no_such_file' });
  expect((await world.call('GET', '/runner/..%2f..%2fetc%2fpasswd')).status).toBe(400);
});

test('one without files says what to do, and takes them once they are there', async () => {
  renameSync(join(world.folder, 'agent.mjs'), join(world.folder, 'elsewhere'));
  expect((await world.call('GET', '/runner.sh')).json).toMatchObject({
    status: 503,
    code: 'no_runner_files',
    detail: expect.stringContaining('make agent'),
  });
  expect((await next(runs({ agent: hash('other') }))).upgrade).toBeUndefined();
  renameSync(join(world.folder, 'elsewhere'), join(world.folder, 'agent.mjs'));
  expect((await world.call('GET', '/runner.sh')).status).toBe(200);
  // What was replaced since its hash was told is not served under it.
  writeFileSync(join(world.folder, 'agent.mjs'), 'newer agent');
  expect((await world.call('GET', `/runner/${hex(AGENT)}`)).json).toMatchObject({ status: 503, code: 'runner_files_changed' });
  rmSync(join(world.folder, 'agent.mjs'));
  expect((await world.call('GET', `/runner/${hex(AGENT)}`)).status).toBe(503);
});

test('a runner that runs other files is told, and gets nothing new if it will start anew', async () => {
  await world.pledge(OURS);
  await world.door.run((ctx) => {
    for (const { id, want } of ctx.tx.effectsDue(ctx.nowMs, 100))
      if (want.kind === 'number') effectDone(ctx, id, { outcome: 'number', taken: false });
  });
  const upgrade = { agent: hash(AGENT), prover: hash('a prover') };
  expect(await next(runs({ agent: hash('older') }))).toMatchObject({ upgrade, grants: [] });
  expect(await next(runs({ prover: hash('older') }))).toMatchObject({ upgrade, grants: [] });
  // Held back for nothing: it is told at once.
  expect(await next({ ...runs({ agent: hash('older') }), freeSlots: 0, waitMs: 60_000 })).toMatchObject({ upgrade });
  for (const same of [
    runs(),
    runs({ prover: undefined }),
    { ...runs({ agent: undefined }) },
    runs({ arch: 'other', agent: hash('older') }),
    {},
  ])
    expect((await next({ ...same, freeSlots: 0 })).upgrade).toBeUndefined();
  // One that nobody would start again goes on.
  expect(await next(runs({ agent: hash('older'), upgrades: false }))).toMatchObject({ upgrade, grants: [{ stage: 'AddPiece' }] });
});

test('the version is shown as it was registered, and as it is after an upgrade', async () => {
  const shown = async (): Promise<RunnerView> =>
    (await world.call('GET', `/v1/runners/${runner.runnerId}`, { token: world.admin })).json as RunnerView;
  const listed = async () => ((await world.call('GET', '/v1/runners', { token: world.admin })).json as { items: RunnerView[] }).items[0];
  expect((await shown()).agentVersion).toBe('0');
  await next(runs({ version: '10.1' }));
  expect([(await shown()).agentVersion, (await listed())?.agentVersion]).toEqual(['10.1', '10.1']);
  const network = { downBytesPerS: 9, upBytesPerS: 8, measuredMs: 7 };
  const resources = { ...RESOURCES, numaNodes: 2, network, hugepages: [{ sizeBytes: 2 ** 30, total: 4, free: 3 }] };
  await next({ resources });
  expect((await shown()).resources).toEqual(resources);
});

test('who only measures takes no errands along: they wait for the next call', async () => {
  await world.door.run((ctx) => {
    for (const id of ['main', 'other'])
      ctx.tx.putStoragePath({ runner: runner.runnerId, path: storagePath(id, { freeBytes: 2 ** 40 }), seenMs: ctx.nowMs, checking: null });
    const move = storageMove(1, { miner: OURS, cause: 'request' });
    ctx.tx.putSectorRecord(sectorRecord(1, { miner: OURS, files: { storage: 'main', root: '/mnt', files: [...move.files] } }));
    ctx.tx.putStorageMove(move);
  });
  expect((await next({ probe: true, freeSlots: 0 })).moves).toBeUndefined();
  expect((await next({ freeSlots: 0 })).moves).toMatchObject([{ step: 'copy', number: 1 }]);
});

test('who asks gets something to measure with, that takes and gives no more than it says; not again at once', async () => {
  const { probe } = await next({ probe: true, freeSlots: 0 });
  expect(probe?.sizeBytes).toBe(8 * 2 ** 20);
  expect(probe?.getUrl).toMatch(/^http:\/\/objects\.test\/objects\/probes\/down-/);
  expect(probe?.putUrl).toMatch(/^http:\/\/objects\.test\/objects\/-\/uploads\//);
  expect((await world.objects.head('probes/down-8388608'))?.sizeBytes).toBe(8 * 2 ** 20);
  expect((await next({ probe: true, freeSlots: 0 })).probe).toBeUndefined();
  expect((await next({ freeSlots: 0 })).probe).toBeUndefined();
});
