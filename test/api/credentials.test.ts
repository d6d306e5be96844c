/** Credentials of runners are replaced by the control plane, and whatever is lost on the way, the runner has one that works. */
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runnerOf } from '../../src/api/auth.ts';
import { hashSecret } from '../../src/api/secrets.ts';
import type { HeartbeatAnswer, RegisterAnswer } from '../../src/schema/runner.ts';
import { ApiWorld, BOOT, RESOURCES } from './api-world.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

let world: ApiWorld;
let runner: RegisterAnswer;
beforeEach(async () => {
  world = await ApiWorld.open();
  runner = await world.runner();
});
afterEach(() => world.close());

async function beat(credential: string, bootId = BOOT): Promise<{ status: number; next: string | undefined }> {
  const { status, json } = await world.call('POST', '/v1/runners/self/heartbeat', { token: credential, body: { bootId, attempts: [] } });
  return { status, next: status === 200 ? (json as HeartbeatAnswer).credential : undefined };
}
const statusOf = () => world.door.run((ctx) => ctx.tx.runners().find(({ id }) => id === runner.runnerId)?.status);

test('after a day the heartbeat brings the next one; the old one is good until that is first used, then it is dead', async () => {
  expect(await beat(runner.credential)).toEqual({ status: 200, next: undefined });
  world.nowMs += DAY_MS - 1;
  expect((await beat(runner.credential)).next).toBeUndefined();
  world.nowMs += 1;
  const { next } = await beat(runner.credential);
  expect(next).toMatch(/^sp-run-[0-9a-f]{64}$/);
  // Not used yet: the old one works for as long as it takes, and brings the same one again.
  world.nowMs += 9 * DAY_MS;
  expect(await beat(runner.credential)).toEqual({ status: 200, next });
  expect(await beat(next as string)).toEqual({ status: 200, next: undefined });
  expect((await beat(runner.credential)).status).toBe(401);
  world.nowMs += DAY_MS;
  const after = await beat(next as string);
  expect(after.next).toMatch(/^sp-run-/);
  expect(after.next).not.toBe(next);
});

test('of credentials the database has hashes only, and none is in the log', async () => {
  await beat(runner.credential);
  world.nowMs += DAY_MS;
  const { next } = await beat(runner.credential);
  await beat(next as string);
  const rows = JSON.stringify(await world.door.run((ctx) => ctx.tx.runners()));
  for (const secret of [runner.credential, next as string]) {
    expect(rows).toContain(hashSecret(secret));
    for (const text of [rows, world.log.join('')]) expect(text).not.toContain(secret.slice('sp-run-'.length));
  }
});

test('a backup knows the credential that is given out next, long before it is', async () => {
  await beat(runner.credential);
  const before = await world.door.run((ctx) => ctx.tx.runners().find(({ id }) => id === runner.runnerId));
  world.nowMs += DAY_MS;
  const { next } = await beat(runner.credential);
  expect(before?.nextCredentialHash).toBe(hashSecret(next as string));
});

test('a credential that was replaced, used by another process, quarantines the runner; a late call of its own does not', async () => {
  world.nowMs += DAY_MS;
  const { next } = await beat(runner.credential);
  await beat(next as string);
  world.nowMs += HOUR_MS;
  expect((await beat(runner.credential)).status).toBe(401);
  expect(await statusOf()).toBe('ready');
  expect((await beat(runner.credential, 'boot-of-a-thief')).status).toBe(401);
  expect(await statusOf()).toBe('quarantined');
});

test('a banned runner gets 401 with both, at once', async () => {
  world.nowMs += DAY_MS;
  const { next } = await beat(runner.credential);
  await world.call('POST', `/v1/runners/${runner.runnerId}/ban`, { token: world.admin });
  for (const credential of [runner.credential, next as string]) {
    expect((await beat(credential)).status).toBe(401);
    const body = { bootId: BOOT, freeSlots: 1, running: [], reports: [], resources: RESOURCES, waitMs: 0 };
    expect((await world.call('POST', '/v1/runners/self/next', { token: credential, body })).status).toBe(401);
  }
  await expect(world.door.run((ctx) => runnerOf(ctx, hashSecret(next as string)))).rejects.toMatchObject({ status: 401 });
});

/** What may happen between an agent, its disk, the network and the clock. */
const step = fc.constantFrom('beat', 'answer lost', 'crash before the write', 'crash after the write', 'late again', 'an hour', 'a day');

test('whatever is lost, doubled or late, and whenever the agent dies, what is on its disk is let in', { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      const { credential } = await world.runner('own', 'played');
      let [disk, memory, boot] = [credential, credential, 1];
      const sent: { credential: string; boot: number }[] = [];
      for (const what of steps) {
        if (what === 'an hour') world.nowMs += HOUR_MS;
        else if (what === 'a day') world.nowMs += DAY_MS;
        else if (what === 'late again') {
          const late = sent.at(-1);
          // A request of this process that the network doubled: it may be refused, and changes nothing.
          if (late?.boot === boot) await beat(late.credential, `boot-${late.boot}-played`);
        } else {
          sent.push({ credential: memory, boot });
          const { status, next } = await beat(memory, `boot-${boot}-played`);
          expect(status).toBe(200);
          if (what === 'beat' || what === 'crash after the write') disk = next ?? disk;
          if (what === 'beat') memory = disk;
          if (what.startsWith('crash')) [memory, boot] = [disk, boot + 1];
        }
        const good = await world.door.run((ctx) =>
          runnerOf({ ...ctx, tx: { ...ctx.tx, updateRunner: () => undefined } }, hashSecret(disk)),
        );
        expect(good.status).toBe('ready');
      }
    }),
    { numRuns: 60 },
  );
});
