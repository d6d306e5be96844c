/** Reports and grants through the fused `next`, over HTTP with real uploads into the object store. */
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { listen } from '../../src/main/http-server.ts';
import { objectRoutes } from '../../src/objects/routes.ts';
import type { JobId } from '../../src/schema/ids.ts';
import type { Grant, NextAnswer, RegisterAnswer } from '../../src/schema/runner.ts';
import { effectDone } from '../../src/scheduler/outbox.ts';
import { tick } from '../../src/scheduler/tick.ts';
import { ApiWorld, BOOT, OURS, RESOURCES } from './api-world.ts';

let world: ApiWorld;
let runner: RegisterAnswer;
beforeEach(async () => {
  world = await ApiWorld.open();
  world.app.route('/', objectRoutes(world.objects));
  runner = await world.runner();
});
afterEach(() => world.close());

async function next(more: Record<string, unknown> = {}, credential = runner.credential) {
  const body = { bootId: BOOT, freeSlots: 0, running: [], reports: [], resources: RESOURCES, waitMs: 0, ...more };
  const { status, json } = await world.call('POST', '/v1/runners/self/next', { token: credential, body });
  expect(status).toBe(200);
  return json as NextAnswer;
}

/** Says for the chain that sector numbers are free. */
async function numbersAreFree(): Promise<void> {
  await world.door.run((ctx) => {
    for (const { id, want } of ctx.tx.effectsDue(ctx.nowMs, 100))
      if (want.kind === 'number') effectDone(ctx, id, { outcome: 'number', taken: false });
  });
}

async function claim(slots = 1): Promise<Grant[]> {
  await numbersAreFree();
  return (await next({ freeSlots: slots })).grants;
}

const ZERO_COMM_D = {
  cid: 'baga6ea4seaqpy7usqklokfx2vxuynmupslkeutzexe2uqurdg5vhtebhxqmpqmy',
  hex: 'fc7e928296e516faade986b28f92d44a4f24b935485223376a799027bc18f833',
};
const added = { pieces: [{ cid: ZERO_COMM_D.cid, paddedSizeBytes: '2048', offsetBytes: '0', filler: true }], commD: ZERO_COMM_D };
const doneReport = ({ attempt, epoch }: Grant, outputs: unknown[] = [], result: unknown = added) => ({
  outcome: 'done',
  attempt,
  epoch,
  outputs,
  result,
});

/** Uploads bytes to an output slot as an agent does. */
function upload({ outputs }: Grant, name: string, bytes: Buffer) {
  return world.upload(outputs.find((output) => output.name === name) as Grant['outputs'][number], bytes);
}

const stateOf = async (job: string) =>
  ((await world.call('GET', `/v1/sectors/${job}`, { token: world.admin })).json as { job: { state: string } }).job.state;

test('a mix of reports in one call is answered item by item', async () => {
  await world.pledge(OURS, 1);
  const [late] = (await claim()) as [Grant];
  // Its lease runs out: the stage is granted anew, with a higher lease epoch.
  world.nowMs += 60_000;
  await world.door.run(tick);
  const [current] = (await claim()) as [Grant];
  expect(current.epoch).toBe(late.epoch + 1);
  const unknown = { outcome: 'failed', attempt: 'a-000000000000', epoch: 1, code: 'internal', message: 'no such' };
  const mixed = await next({ reports: [doneReport(late), doneReport(current), unknown, doneReport(current)] });
  expect(mixed.reports.map(({ status }) => status)).toEqual(['lease_lost', 'accepted', 'unknown_attempt', 'duplicate']);
  expect(
    await stateOf(
      ((await world.call('GET', '/v1/sectors', { token: world.admin })).json as { items: { id: string }[] }).items[0]?.id as string,
    ),
  ).toBe('PieceAdded');
  // Everything once more: nothing changes.
  const again = await next({ reports: [doneReport(current), doneReport(late)] });
  expect(again.reports.map(({ status }) => status)).toEqual(['duplicate', 'lease_lost']);
});

test('a report that meets a broken job costs the other reports of its call nothing', async () => {
  const [broken, good] = (await world.pledge(OURS, 2)) as [string, string];
  const grants = [...(await claim(2)), ...(await claim(2))];
  // A row as no code of ours writes it.
  await world.door.run(({ tx }) => {
    const job = tx.jobs({}, 10, null).items.find(({ id }) => id === broken);
    if (job !== undefined) tx.updateJob({ ...job, number: null });
  });
  const { reports } = await next({ reports: grants.map((grant) => doneReport(grant)) });
  expect(reports.map(({ status }) => status).toSorted()).toEqual(['accepted', 'refused']);
  expect([await stateOf(broken), await stateOf(good)]).toEqual(['DealsAcquired', 'PieceAdded']);
});

test('an input that is missing of a job that was given up: the lease is over, and the other reports count', async () => {
  const [given, good] = (await world.pledge(OURS, 2)) as [string, string];
  const grants = [...(await claim(2)), ...(await claim(2))];
  // In a stage whose inputs a job that was given up has not got.
  const lost = await world.door.run(({ tx }) => {
    const attempts = tx.attemptsOfJob(given as JobId);
    for (const attempt of attempts) tx.updateAttempt({ ...attempt, stage: 'C1' });
    return new Set<string>(attempts.map(({ id }) => id));
  });
  await world.call('POST', `/v1/sectors/${given}/abort`, { token: world.admin, body: { force: true } });
  const { reports } = await next({
    reports: grants.map((grant) => {
      const { attempt, epoch } = grant;
      if (!lost.has(attempt)) return doneReport(grant);
      return { outcome: 'failed', attempt, epoch, code: 'input_missing', message: 'it is not there', input: 'sealed' };
    }),
  });
  expect(reports.map(({ status }) => status).toSorted()).toEqual(['accepted', 'lease_lost']);
  expect([await stateOf(given), await stateOf(good)]).toEqual(['Aborted', 'PieceAdded']);
});

test('another runner cannot report on an attempt: to it, there is none', async () => {
  await world.pledge();
  const [grant] = (await claim()) as [Grant];
  const other = await world.runner('own', 'other');
  const { reports } = await next({ reports: [doneReport(grant)] }, other.credential);
  expect(reports.map(({ status }) => status)).toEqual(['unknown_attempt']);
  expect((await next({ reports: [doneReport(grant)] })).reports.map(({ status }) => status)).toEqual(['accepted']);
});

test('uploads are completed before a result counts; one that was never uploaded is the failure of the runner', async () => {
  const [job] = (await world.pledge()) as [string];
  const [pieces] = (await claim()) as [Grant];
  await next({ reports: [doneReport(pieces)] });
  const [first] = (await claim()) as [Grant];
  expect(first).toMatchObject({ stage: 'BuildTreeD', outputs: [{ name: 'cache/sc-02-data-tree-d.dat', required: true }] });
  const invented = {
    name: 'cache/sc-02-data-tree-d.dat',
    sizeBytes: '4064',
    hash: `sha256:${'0'.repeat(64)}`,
    parts: [{ number: 1, etag: '00000000-4064' }],
  };
  await next({ reports: [doneReport(first, [invented], { commD: ZERO_COMM_D })] });
  expect(await stateOf(job)).toBe('PieceAdded');

  await world.door.run(tick);
  const [second] = (await claim()) as [Grant];
  const output = await upload(second, 'cache/sc-02-data-tree-d.dat', Buffer.alloc(4064, 1));
  const { reports } = await next({ reports: [doneReport(second, [output], { commD: ZERO_COMM_D })] });
  expect(reports.map(({ status }) => status)).toEqual(['accepted']);
  expect(await stateOf(job)).toBe('TreeDBuilt');
});

/** A job's BuildTreeD stage, claimed, with its output uploaded but not reported. */
async function uploadedTreeD() {
  const [job] = (await world.pledge()) as [string];
  const [pieces] = (await claim()) as [Grant];
  await next({ reports: [doneReport(pieces)] });
  const [grant] = (await claim()) as [Grant];
  const output = await upload(grant, 'cache/sc-02-data-tree-d.dat', Buffer.alloc(4064, 1));
  const slots = await world.door.run((ctx) => ctx.tx.uploadsOfAttempt(grant.attempt));
  return { job, key: slots[0]?.key as string, report: doneReport(grant, [output], { commD: ZERO_COMM_D }) };
}

const strikes = () => world.door.run((ctx) => ctx.tx.runners().map((row) => row.strikes));

async function* bytesOfSize(sizeBytes: number): AsyncIterable<Uint8Array> {
  yield Buffer.alloc(sizeBytes, 1);
}

test('a report that is sent again while its uploads are still completed counts once and strikes nobody', async () => {
  const { job, report } = await uploadedTreeD();
  const answers = await Promise.all([next({ reports: [report] }), next({ reports: [report] }), next({ reports: [report] })]);
  expect(answers.map(({ reports }) => reports[0]?.status).sort()).toEqual(['accepted', 'duplicate', 'duplicate']);
  expect(await stateOf(job)).toBe('TreeDBuilt');
  expect(await strikes()).toEqual([0]);
});

test('an object that is there already is the output when it has its size, and never the fault of the runner', async () => {
  const { job, key, report } = await uploadedTreeD();
  await world.objects.put(key, bytesOfSize(4063), 4063);
  expect((await next({ reports: [report] })).reports).toMatchObject([{ status: 'retry_later' }]);
  expect([await stateOf(job), await strikes()]).toEqual(['PieceAdded', [0]]);
  // Its slot is not free, whatever its runner counts.
  await world.pledge(OURS, 1);
  await numbersAreFree();
  expect((await next({ reports: [report], freeSlots: 1 })).grants).toEqual([]);
  expect((await next({ reports: [report], freeSlots: 2 })).grants).toHaveLength(1);
  await world.objects.delete(key);
  await world.objects.put(key, bytesOfSize(4064), 4064);
  expect((await next({ reports: [report] })).reports).toMatchObject([{ status: 'accepted' }]);
  expect([await stateOf(job), await strikes()]).toEqual(['TreeDBuilt', [0]]);
});

test('an output that was not asked for is refused, whatever its name', async () => {
  const [job] = (await world.pledge()) as [string];
  const [grant] = (await claim()) as [Grant];
  const extra = { name: 'sealed', sizeBytes: '1', hash: `sha256:${'0'.repeat(64)}`, parts: [] };
  const { reports } = await next({ reports: [doneReport(grant, [extra])] });
  expect(reports).toMatchObject([{ status: 'refused', message: expect.stringContaining('not asked for') }]);
  expect(await stateOf(job)).toBe('DealsAcquired');
  const path = await world.call('POST', '/v1/runners/self/next', {
    token: runner.credential,
    body: {
      bootId: BOOT,
      freeSlots: 0,
      running: [],
      resources: RESOURCES,
      waitMs: 0,
      reports: [doneReport(grant, [{ ...extra, name: '../../etc/passwd' }])],
    },
  });
  expect(path).toMatchObject({ status: 400, json: { code: 'invalid_request' } });
});

test('an empty question is held back until there is something to grant, and no longer than asked', async () => {
  const started = performance.now();
  const held = next({ freeSlots: 1, waitMs: 15_000 });
  await world.pledge();
  await numbersAreFree();
  const { grants } = await held;
  expect(grants).toHaveLength(1);
  const running = grants.map(({ attempt, epoch }) => ({ attempt, epoch }));
  expect(performance.now() - started).toBeLessThan(10_000);
  expect((await next({ freeSlots: 1, waitMs: 50, running })).grants).toEqual([]);
  // A control plane that ends answers at once.
  const last = next({ freeSlots: 1, waitMs: 15_000, running });
  world.ending.abort();
  expect((await last).grants).toEqual([]);
});

test('a runner that was banned is let in nowhere, and its stage goes on elsewhere', async () => {
  await world.pledge();
  const [grant] = (await claim()) as [Grant];
  expect((await world.call('POST', `/v1/runners/${runner.runnerId}/ban`, { token: world.admin })).status).toBe(200);
  const refused = await world.call('POST', '/v1/runners/self/heartbeat', {
    token: runner.credential,
    body: { bootId: BOOT, attempts: [] },
  });
  expect(refused.status).toBe(401);
  const other = await world.runner('own', 'other');
  const { grants } = await next({ freeSlots: 1 }, other.credential);
  expect(grants).toMatchObject([{ stage: grant.stage, epoch: grant.epoch + 1 }]);
});

test('of many registrations with one join token exactly one succeeds', async () => {
  const { json } = await world.call('POST', '/v1/runners/tokens', { token: world.admin, body: { trust: 'rented' } });
  const { token } = json as { token: string };
  const body = { token, name: 'x', agentVersion: '0', stages: ['C2'], storage: [], resources: RESOURCES };
  const register = (_: unknown, n: number) => world.call('POST', '/v1/runners/register', { body: { ...body, bootId: `${BOOT}-${n}` } });
  const answers = await Promise.all(Array.from({ length: 100 }, register));
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
  expect(answers.filter(({ status }) => status === 401)).toHaveLength(99);
});

test('a runner that hung up gets nothing granted: the stage is there for the next one at once', async () => {
  const holding = vi.spyOn(world.door, 'oneOf');
  const { port, close } = await listen(world.app.fetch, '127.0.0.1', 0);
  onTestFinished(() => close(0));
  const left = new AbortController();
  const asked = fetch(`http://127.0.0.1:${port}/v1/runners/self/next`, {
    method: 'POST',
    headers: { authorization: `Bearer ${runner.credential}`, 'content-type': 'application/json' },
    body: JSON.stringify({ bootId: BOOT, freeSlots: 1, running: [], reports: [], resources: RESOURCES, waitMs: 15_000 }),
    signal: left.signal,
  });
  await vi.waitFor(() => expect(holding).toHaveBeenCalledWith(expect.arrayContaining(['stage:AddPiece']), expect.anything()));
  left.abort();
  await expect(asked).rejects.toThrow(/abort/i);
  // The server noticed that nobody listens any more.
  await vi.waitFor(() => expect(holding.mock.calls[0]?.[1].aborted).toBe(true));
  const [job] = (await world.pledge()) as [string];
  await numbersAreFree();
  const { json } = await world.call('GET', `/v1/sectors/${job}`, { token: world.admin });
  expect(json).toMatchObject({ job: { waiting: { for: 'runner', stage: 'AddPiece' } }, attempts: [] });
});

test('a poll that a runner had open when it went silent gets nothing; it does once it has spoken', async () => {
  await world.pledge();
  const [grant] = (await claim()) as [Grant];
  const running = [{ attempt: grant.attempt, epoch: grant.epoch }];
  const holding = vi.spyOn(world.door, 'oneOf');
  const held = next({ freeSlots: 1, running, waitMs: 15_000 });
  await vi.waitFor(() => expect(holding).toHaveBeenCalled());
  // Its lease runs out, which wakes the poll: the stage is granted anew.
  for (let goneS = 0; goneS < 64; goneS += 8) {
    world.nowMs += 8_000;
    await world.door.run(tick);
  }
  expect(await held).toMatchObject({ grants: [], cancel: [grant.attempt] });
  expect((await next({ freeSlots: 1 })).grants).toMatchObject([{ stage: 'AddPiece', epoch: grant.epoch + 1 }]);
});
