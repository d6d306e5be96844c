/** After a restore nothing of a job begins before it has been compared with the chain, whatever anybody asks for. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { abortJob, pauseJob, resumeJob } from '../../src/scheduler/operate.ts';
import { grantStages } from '../../src/scheduler/grants.ts';
import type { RunnerRow } from '../../src/scheduler/ports.ts';
import { restarted } from '../../src/scheduler/tick.ts';
import type { Job } from '../../src/schema/job.ts';
import { MINER } from '../scheduler/world.ts';
import { NOTHING, RestoredWorld, preCommitted, proven } from './restored-world.ts';

let world: RestoredWorld;
beforeEach(async () => {
  world = new RestoredWorld();
  await world.start();
});
afterEach(() => world.close());

const kinds = async (): Promise<string[]> => [...new Set((await world.effects()).map(({ want }) => want.kind))].sort();
const grants = () => world.run((ctx) => grantStages(ctx, ctx.tx.runner(world.own) as RunnerRow, 8));
const answer = async (seen = NOTHING): Promise<void> => {
  for (const effect of await world.comparing()) await world.perform(effect, seen);
};

test('what ran is ended, what was wanted is withdrawn, and until the comparison nothing is granted or wanted', async () => {
  const { id, running } = await world.backedUpIn('TicketAssigned');
  await world.markRestored();
  expect(await world.run((ctx) => ctx.tx.attempt(running.grant.attempt)?.status)).toBe('cancelled');
  expect((await world.report(world.own, world.honest(running))).status).toBe('lease_lost');
  const unknown = { ...world.honest(running), attempt: 'a-0000lost' };
  expect((await world.report(world.own, unknown)).status).toBe('unknown_attempt');
  for (let round = 0; round < 20; round += 1) {
    expect(await grants()).toEqual([]);
    expect((await kinds()).filter((kind) => kind !== 'delete')).toEqual(['reconcile']);
    await world.tick(60_000);
  }
  expect((await world.job(id)).waiting).toMatchObject({ for: 'effect' });
  await answer();
  expect((await grants()).map(({ stage }) => stage)).toEqual(['PC1']);
});

test('the mark is taken once: the next start holds nothing', async () => {
  const { id } = await world.backedUpIn('PC1Done');
  await world.restore(NOTHING);
  const before = await world.job(id);
  await world.run((ctx) => restarted(ctx));
  expect(await world.job(id)).toEqual(before);
  expect(await world.comparing()).toEqual([]);
});

test('a backup made during a comparison holds its jobs again, once', async () => {
  await world.backedUpIn('PC1Done');
  await world.markRestored();
  await world.markRestored();
  expect((await world.comparing()).filter(({ job }) => job !== null)).toHaveLength(1);
  await answer();
  expect((await grants()).map(({ stage }) => stage)).toEqual(['PC2']);
});

test('a paused job is compared as well, stays paused, and its error says what was found', async () => {
  const { id } = await world.backedUpIn('PC1Done');
  await world.run((ctx) => pauseJob(ctx, id, {}, 'test'));
  await world.restore(preCommitted());
  expect(await world.job(id)).toMatchObject({ paused: true, waiting: { for: 'operator' }, data: { preCommit: { found: true } } });
  const second = await world.run((ctx) => ctx.tx.job(id) as Job);
  expect(second.error).toBeNull();
  await world.markRestored();
  await answer(proven());
  expect(await world.job(id)).toMatchObject({ paused: true, error: { code: 'proven_already' } });
});

test('pausing, resuming and going back during the comparison do not get round it', async () => {
  const { id } = await world.backedUpIn('PC1Done');
  await world.markRestored();
  await world.run((ctx) => pauseJob(ctx, id, { now: true }, 'test'));
  await world.run((ctx) => resumeJob(ctx, id, {}, 'test'));
  expect(await world.job(id)).toMatchObject({ paused: false, waiting: { for: 'effect' } });
  await world.run((ctx) => pauseJob(ctx, id, {}, 'test'));
  await world.run((ctx) => resumeJob(ctx, id, { state: 'TreeDBuilt' }, 'test'));
  expect(await world.job(id)).toMatchObject({ generation: 2, waiting: { for: 'effect' } });
  expect(await grants()).toEqual([]);
  // The comparison holds for the job as it is now.
  await answer(preCommitted());
  const job = await world.job(id);
  expect(job.data).toMatchObject({ preCommit: { found: true }, boundCommR: { cid: preCommitted().preCommit?.commR } });
  await world.finish([world.own]);
  expect((await world.job(id)).state).toBe('Finished');
  expect(world.sent).toEqual(['SubmitProof']);
});

test('abort is refused while nobody knows what it costs, and does what force says', async () => {
  const { id } = await world.backedUpIn('PC1Done');
  await world.markRestored();
  const abort = (force: boolean) => world.run((ctx) => abortJob(ctx, id, { force }, 'test'));
  await expect(abort(false)).rejects.toMatchObject({ code: 'reconciling', status: 409 });
  expect((await world.job(id)).state).toBe('PC1Done');
  await abort(true);
  await answer(preCommitted());
  expect(await world.job(id)).toMatchObject({ state: 'Aborted', number: 1 });
});

test('a node that refuses the comparison for good does not set the job free', async () => {
  const { id } = await world.backedUpIn('PC1Done');
  await world.markRestored();
  const [effect] = (await world.comparing()).filter(({ job }) => job === id);
  const refused = { outcome: 'error', category: 'permanent', code: 'actor_not_found', message: 'the node has no such miner' } as const;
  await world.perform(effect as NonNullable<typeof effect>, refused);
  expect(await world.job(id)).toMatchObject({ paused: true, error: { code: 'actor_not_found' } });
  await world.run((ctx) => resumeJob(ctx, id, {}, 'test'));
  expect(await grants()).toEqual([]);
  await world.tick(3_600_000);
  await answer();
  await world.finish([world.own]);
  expect((await world.job(id)).state).toBe('Finished');
});

test('no number is given out before the messages of the lost database have come to rest', async () => {
  await world.markRestored();
  const id = await world.ask();
  for (let round = 0; round < 10; round += 1) await world.tick(60_000);
  expect(await world.job(id)).toMatchObject({ state: 'Empty', number: null, error: { code: 'reconciling' } });
  // Told once, however long it takes.
  expect((await world.events(id)).filter(({ kind }) => kind === 'error')).toHaveLength(1);
  expect((await world.comparing()).map(({ want }) => want)).toEqual([{ kind: 'reconcile', miner: MINER, number: null }]);
  await answer();
  await world.finish([world.own]);
  expect(await world.job(id)).toMatchObject({ state: 'Finished', number: 1 });
});

test('a job that was about to take a number when the backup was made waits as well', async () => {
  const id = await world.ask();
  const job = await world.job(id);
  await world.run((ctx) => ctx.tx.updateJob({ ...job, number: null, waiting: { for: 'retry', untilMs: 1 } }));
  await world.markRestored();
  expect(await world.job(id)).toMatchObject({ number: null, error: { code: 'reconciling' } });
});

test('many jobs are held in one start', async () => {
  for (let at = 0; at < 450; at += 1) await world.ask();
  await world.run((ctx) => {
    let number = 10;
    for (let cursor: string | null = null; ;) {
      const page = ctx.tx.liveJobs(100, cursor);
      for (const job of page.items) ctx.tx.updateJob({ ...job, number: (number += 1) });
      if (page.cursor === null) break;
      cursor = page.cursor;
    }
  });
  await world.markRestored();
  const held = await world.run((ctx) => ctx.tx.effectsDue(world.nowMs, 10_000).filter(({ want: { kind } }) => kind === 'reconcile'));
  expect(held.filter(({ job }) => job !== null)).toHaveLength(450);
});

test('what was stored is looked at again: a lost database may have moved it', async () => {
  const { id, running } = await world.backedUpIn('Persisted');
  await world.run((ctx) => pauseJob(ctx, id, {}, 'test'));
  await world.report(world.own, world.honest(running));
  expect(await world.job(id)).toMatchObject({ state: 'Persisted', data: { storedChecked: true } });
  await world.restore(preCommitted());
  await world.run((ctx) => resumeJob(ctx, id, {}, 'test'));
  const [check] = await grants();
  expect(check).toMatchObject({ stage: 'Verify' });
});
