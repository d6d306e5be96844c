/** An operator's hands on running work: pause, resume and abort while each stage runs, in the middle of an upload, between sign and push. */
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { ApiError } from '../../src/api/client.ts';
import { HoldingProxy } from './holding-proxy.ts';
import { Deployment, MINER, ROOT } from './processes.ts';

const HEARTBEAT_MS = 2_000;
/** For processes to end and files to go, after the one heartbeat that brings the order. */
const SLACK_MS = 4_000;

let deployment: Deployment;
const proxies: HoldingProxy[] = [];
afterEach(async () => {
  await deployment.end();
  for (const proxy of proxies.splice(0)) await proxy.close();
});

/** A prover that waits in stages while `hold-STAGE` stands in the folder. */
function holdingProver(folder: string): string {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, 'prover');
  const program = `'${process.execPath}' --disable-warning=ExperimentalWarning '${join(ROOT, 'test/e2e/holding-prover.ts')}'`;
  writeFileSync(path, `#!/bin/sh\nexec ${program} '${folder}' "$@"\n`);
  chmodSync(path, 0o755);
  return path;
}

async function refusal(call: Promise<unknown>): Promise<{ status: number; code: string; detail: string }> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ApiError);
  return (error as ApiError).problem;
}

/** Polls until it holds; throws with the last answer when it does not in time. */
async function soon<T>(what: () => T, holds: (value: T) => boolean, withinMs: number): Promise<void> {
  const limit = Date.now() + withinMs;
  for (;;) {
    const value = what();
    if (holds(value)) return;
    if (Date.now() > limit) throw new Error(`after ${withinMs} ms it is still ${JSON.stringify(value)}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

function filesBelow(folder: string): string[] {
  if (!existsSync(folder)) return [];
  let names: string[];
  try {
    names = readdirSync(folder, { recursive: true }).map(String);
  } catch {
    // A folder on the way went meanwhile: look again.
    return filesBelow(folder);
  }
  return names.filter((name) => statSync(join(folder, name), { throwIfNoEntry: false })?.isFile() === true);
}

const objectsOf = (job: string): string[] => filesBelow(join(deployment.folder, 'data/objects')).filter((name) => name.includes(job));
/** Uploads that hold bytes; a completed one leaves its record for a day. */
const partsLeft = (): string[] => filesBelow(join(deployment.folder, 'data/uploads')).filter((name) => !name.endsWith('.json'));
const workLeft = (): string[] => readdirSync(join(deployment.folder, 'runner-one/work'));

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function stopped(job: string, pid: number | undefined, filesKept: boolean): Promise<void> {
  const left = () => ({
    work: workLeft(),
    parts: partsLeft(),
    objects: filesKept ? [] : objectsOf(job),
    process: pid !== undefined && alive(pid),
  });
  await soon(left, (now) => now.work.length + now.parts.length + now.objects.length === 0 && !now.process, HEARTBEAT_MS + SLACK_MS);
}

/** Nothing is sent from here on, whatever time passes on the chain. */
async function nothingSent(before: number): Promise<void> {
  await deployment.control({ advance: 20 });
  expect(await deployment.messages()).toHaveLength(before);
}

const settings = { SEALPOOL_SCHEDULER_HEARTBEAT_MS: String(HEARTBEAT_MS), SEALPOOL_SCHEDULER_LEASE_MS: '8000' };

describe('while a stage runs', () => {
  test.each(['add-piece', 'tree-d', 'pc1', 'pc2', 'c1', 'verify-vanilla', 'c2', 'verify-seal'])(
    '%s',
    { timeout: 120_000 },
    async (stage) => {
      deployment = await Deployment.start({ settings });
      const { client } = deployment;
      const folder = join(deployment.folder, 'holding');
      await deployment.addRunner('one', { prover: holdingProver(folder) });
      const hold = join(folder, `hold-${stage}`);
      const running = join(folder, `running-${stage}`);
      const held = async (): Promise<number> => {
        await soon(() => existsSync(running), Boolean, 60_000);
        const pid = Number(readFileSync(running, 'utf8'));
        rmSync(running);
        return pid;
      };
      writeFileSync(hold, '');
      const [job = ''] = await deployment.pledge();
      const first = await held();
      const { state } = (await client.sector(job)).job;

      expect(await refusal(client.resume(job))).toMatchObject({ status: 409, code: 'stage_running' });
      await client.pause(job);
      expect((await client.sector(job)).job).toMatchObject({ state, paused: true });
      expect(alive(first)).toBe(true);
      expect(await refusal(client.resume(job))).toMatchObject({ status: 409, code: 'stage_running' });
      await client.pause(job, { now: true });
      await stopped(job, first, true);
      expect((await client.sector(job)).job).toMatchObject({ state, paused: true });

      await client.resume(job);
      const second = await held();
      const { attempts } = await client.sector(job);
      const epochs = attempts
        .filter((attempt) => attempt.stage === attempts.at(-1)?.stage && attempt.state === state)
        .map(({ epoch }) => epoch);
      expect(epochs.at(-1)).toBeGreaterThan(epochs.at(-2) as number);

      // By force the running attempt is fenced and the stage runs anew.
      await client.resume(job, { force: true });
      const third = await held();
      expect(third).not.toBe(second);
      await stopped('', second, true).catch(() =>
        soon(
          () => alive(second),
          (is) => !is,
          SLACK_MS,
        ),
      );

      const live = (await client.sector(job)).job.data.preCommit !== undefined;
      if (live) {
        const refused = await refusal(client.abort(job));
        expect(refused).toMatchObject({ status: 409, code: 'live_pre_commit' });
        expect(refused.detail).toMatch(/FIL/);
      }
      const sent = (await deployment.messages()).length;
      expect((await client.abort(job, live ? { force: true } : {})).state).toBe('Aborted');
      await stopped(job, third, live);
      await nothingSent(sent);
      expect((await client.sector(job)).job.state).toBe('Aborted');
    },
  );
});

test('in the middle of an upload', { timeout: 120_000 }, async () => {
  const proxy = await HoldingProxy.listen();
  proxies.push(proxy);
  deployment = await Deployment.start({ settings: { ...settings, SEALPOOL_PUBLIC_URL: proxy.url } });
  proxy.target = deployment.url;
  const upload = proxy.hold(({ method, path }) => method === 'PUT' && path.startsWith('/objects/'));
  await deployment.addRunner('one');
  const [job = ''] = await deployment.pledge();
  await upload.reached;
  expect((await deployment.client.abort(job)).state).toBe('Aborted');
  upload.release();
  await stopped(job, undefined, false);
  await nothingSent(0);
});

test('between sign and push', { timeout: 120_000 }, async () => {
  const proxy = await HoldingProxy.listen();
  proxies.push(proxy);
  deployment = await Deployment.start({ settings: { ...settings, SEALPOOL_CHAIN_URL: `${proxy.url}/rpc/v1` } });
  proxy.target = deployment.chainUrl;
  const { client } = deployment;
  const push = proxy.hold(({ body }) => body.includes('MpoolPush"'));
  await deployment.addRunner('one');
  const [job = ''] = await deployment.pledge();
  await push.reached;
  const { job: signed } = await client.sector(job);
  const cid = signed.data.preCommit?.cid as string;
  expect(signed.state).toBe('PC2Done');

  const back = await refusal(client.resume(job, { state: 'TreeDBuilt', force: false }));
  expect(back).toMatchObject({ status: 409 });
  const refused = await refusal(client.abort(job));
  expect(refused).toMatchObject({ status: 409, code: 'live_pre_commit' });
  expect(refused.detail).toContain(cid);
  expect(refused.detail).toMatch(/FIL/);
  const aborted = await client.abort(job, { force: true });
  expect(aborted.state).toBe('Aborted');
  // The bytes may be on their way: the answer says so, and nothing else is ever sent.
  expect(aborted.notice).toContain(cid);
  push.release();
  await soon(
    () => workLeft(),
    (left) => left.length === 0,
    HEARTBEAT_MS + SLACK_MS,
  );
  await deployment.control({ advance: 20 });
  const messages = await deployment.messages();
  expect(messages.map((message) => message.cid).filter((other) => other !== cid)).toEqual([]);
  // What could still rescue the deposit is kept.
  expect(objectsOf(job).some((name) => name.endsWith('/sealed'))).toBe(true);
});

test('fifty resumes at once: one wins', { timeout: 60_000 }, async () => {
  deployment = await Deployment.start({ settings });
  const { client } = deployment;
  const { items } = await client.pledge({ plan: 'sealer', miner: MINER, count: 1 });
  const job = items[0]?.id as string;
  await client.pause(job);
  const answers = await Promise.allSettled(Array.from({ length: 50 }, () => client.resume(job)));
  expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  const refused = answers.flatMap((answer) => (answer.status === 'rejected' ? [(answer.reason as ApiError).problem.status] : []));
  expect(refused).toEqual(Array.from({ length: 49 }, () => 409));
});
