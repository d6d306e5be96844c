/** sealing_threads over HTTP: named by worker or old address, switched on and off, acted on with all options. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { fullAddress } from '../../src/api/worker-address.ts';
import type { JobId } from '../../src/schema/ids.ts';
import type { Job } from '../../src/schema/job.ts';
import { ApiWorld, OURS, THEIRS } from './api-world.ts';

type Thread = { job: string | null; enabled: boolean; threadState: string; stage: string | null; elapsedMs: number | null };

let world: ApiWorld;
beforeEach(async () => {
  world = await ApiWorld.open();
});
afterEach(() => world.close());

const admin = (method: string, path: string, body?: unknown) => world.call(method, path, { token: world.admin, body });
const threadsOf = async (worker: string) => ((await admin('GET', `/v1/workers/${worker}`)).json as { threads: Thread[] }).threads;

test.each([
  ['10.0.0.7', '10.0.0.7:17890'],
  ['10.0.0.7:80', '10.0.0.7:80'],
  ['Worker-1.LAN', 'worker-1.lan:17890'],
  ['fd00::7', '[fd00::7]:17890'],
  ['[fd00::7]', '[fd00::7]:17890'],
  ['[fd00::7]:80', '[fd00::7]:80'],
])('the address %s is %s in full', (typed, full) => {
  expect(fullAddress(typed)).toBe(full);
});

test('a worker is found by its name, by its address with and without the usual port, and by no other', async () => {
  for (const w of ['ours', '10.0.0.7', '10.0.0.7:17890'])
    expect(await admin('GET', `/v1/workers/${w}`)).toMatchObject({ status: 200, json: { worker: 'ours', address: '10.0.0.7' } });
  for (const w of ['10.0.0.7:17999', '10.0.0.8', 'OURS']) expect((await admin('GET', `/v1/workers/${w}`)).status).toBe(404);
  const [job] = await world.pledge(OURS);
  expect(await admin('POST', '/v1/workers/10.0.0.7/threads/0/pause')).toMatchObject({ status: 200, json: { id: job, paused: true } });
});

test('the address of a worker of a foreign miner is not there', async () => {
  const token = await world.token('operator', [OURS]);
  await world.pledge(THEIRS);
  const foreign = await world.call('POST', '/v1/workers/10.0.0.8:17999/threads/0/pause', { token });
  const missing = await world.call('POST', '/v1/workers/10.0.0.9:17999/threads/0/pause', { token });
  expect(foreign.status).toBe(404);
  expect((foreign.json as { detail: string }).detail.replace('0.8', '0.9')).toBe((missing.json as { detail: string }).detail);
});

test('a thread that is switched off keeps its sector and takes no other; switched on it takes the next at once', async () => {
  // The shared thread takes one as well, so that the third waits.
  const [first, , third] = await world.pledge(OURS, 3);
  expect(await admin('POST', '/v1/workers/ours/threads/0/disable')).toMatchObject({ status: 200, json: { enabled: false, job: first } });
  expect((await admin('POST', `/v1/sectors/${first}/abort`)).status).toBe(200);
  expect(await threadsOf('ours')).toMatchObject([{ job: null, enabled: false, threadState: 'Off', elapsedMs: null }]);
  expect(await admin('POST', '/v1/workers/ours/threads/0/pause')).toMatchObject({ status: 409, json: { code: 'thread_idle' } });
  expect(await admin('POST', '/v1/workers/ours/threads/0/enable')).toMatchObject({ status: 200, json: { enabled: true, job: third } });
  // Twice is no error: a script may say it again.
  expect((await admin('POST', '/v1/workers/ours/threads/0/enable')).status).toBe(200);
});

test('what a thread does and since when: waiting, paused, idle', async () => {
  const [job] = await world.pledge(OURS);
  world.nowMs += 1_000;
  expect((await threadsOf('ours'))[0]).toMatchObject({ threadState: 'Waiting', elapsedMs: 1_000 });
  await admin('POST', '/v1/workers/ours/threads/0/pause', { now: true });
  world.nowMs += 5_000;
  expect((await threadsOf('ours'))[0]).toMatchObject({ threadState: 'Paused', elapsedMs: 5_000 });
  expect(await admin('POST', '/v1/workers/ours/threads/0/resume', { force: true })).toMatchObject({
    status: 200,
    json: { id: job, paused: false, notice: null },
  });
  expect(await admin('POST', '/v1/workers/ours/threads/0/abort', {})).toMatchObject({
    status: 200,
    json: { id: job, state: 'Aborted', notice: null },
  });
  expect((await threadsOf('ours'))[0]).toMatchObject({ threadState: 'Idle', job: null, elapsedMs: null });
});

test('fifty resumes of one paused sector at once, by sector and by thread: one wins, once in its history', async () => {
  const [job] = await world.pledge(OURS);
  expect((await admin('POST', `/v1/sectors/${job}/pause`)).status).toBe(200);
  const paths = [`/v1/sectors/${job}/resume`, '/v1/workers/ours/threads/0/resume'];
  const answers = await Promise.all(Array.from({ length: 50 }, (_, at) => admin('POST', paths[at % 2] as string)));
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
  const refused = answers.filter(({ status }) => status === 409);
  expect(refused).toHaveLength(49);
  for (const { json } of refused) expect(json).toMatchObject({ code: 'not_paused', detail: expect.stringMatching(/; pause it first/) });
  const { events } = (await admin('GET', `/v1/sectors/${job}`)).json as { events: { kind: string }[] };
  expect(events.filter(({ kind }) => kind === 'resumed')).toHaveLength(1);
});

test('an abort with a pre-commit out is refused with what it costs; forced, the answer names the message', async () => {
  const [job] = await world.pledge(OURS);
  await world.door.run((ctx) => {
    const row = ctx.tx.job(job as JobId) as Job;
    const preCommit = { cid: 'bafy2bzaceout', nonce: 7, try: 1 };
    ctx.tx.updateJob({ ...row, state: 'PCSubmitted', number: 5, paused: true, data: { ...row.data, preCommit } });
  });
  for (const path of ['/v1/workers/ours/threads/0/abort', `/v1/sectors/${job}/abort`]) {
    expect(await admin('POST', path)).toMatchObject({
      status: 409,
      json: { code: 'live_pre_commit', detail: expect.stringMatching(/deposit.*epochs.*abort with force/) },
    });
  }
  expect(await admin('POST', '/v1/workers/ours/threads/0/abort', { force: true })).toMatchObject({
    status: 200,
    json: { id: job, state: 'Aborted', notice: expect.stringMatching(/bafy2bzaceout \(nonce 7\) is out and cannot be called back/) },
  });
});

test('a token that is bound to a miner switches its own threads, and none that all miners share', async () => {
  const token = await world.token('operator', [OURS]);
  for (const action of ['disable', 'enable']) {
    const shared = await world.call('POST', `/v1/workers/shared/threads/0/${action}`, { token });
    expect(shared).toMatchObject({ status: 403, json: { code: 'forbidden', detail: expect.stringMatching(/shared\/0.*all miners/) } });
    expect((await threadsOf('shared'))[0]?.enabled).toBe(action === 'disable');
    expect((await world.call('POST', `/v1/workers/ours/threads/0/${action}`, { token })).status).toBe(200);
    expect((await admin('POST', `/v1/workers/shared/threads/0/${action}`)).status).toBe(200);
  }
});
