/** Files and open uploads of attempts whose results do not count leave the object storage. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { pledge } from '../../src/scheduler/pledge.ts';
import type { RunnerId } from '../../src/schema/ids.ts';
import type { Job } from '../../src/schema/job.ts';
import { DATA_COMM_R, COMM_D, TICKET, COMM_R } from './honest.ts';
import { type Granted, MINER, World } from './world.ts';

let world: World;
let own: RunnerId;
beforeEach(async () => {
  const plans = ['sealer', 'rebuild'] as const;
  world = new World({ threads: plans.map((plan, index) => ({ worker: 'local', index, plan, miner: null, auto: false })) });
  await world.start();
  own = (await world.register('own')).id;
});
afterEach(() => world.close());

const ask = async (plan: 'sealer' | 'rebuild', sector?: number): Promise<Job['id']> => {
  const request = { plan, miner: MINER, count: 1, ...(sector === undefined ? {} : { sector }) };
  const [job] = await world.run((ctx) => pledge(ctx, request, 'test'));
  return (job as Job).id;
};
const deletions = async () => (await world.effects()).flatMap(({ want }) => (want.kind === 'delete' ? [want] : []));
const keysOf = ({ grant }: Granted): string[] => grant.outputs.map(({ key }) => key);
/** Upload rows as opening the grant writes them. */
const openUploads = ({ grant }: Granted): Promise<void> =>
  world.run((ctx) => {
    for (const { name, key } of grant.outputs) ctx.tx.insertUpload({ attempt: grant.attempt, name, key, uploadId: `upload of ${name}` });
  });

test('of a replica that has another CommR than the chain', async () => {
  const nothing = { update: null, files: null, preCommit: null, proveCommit: null, replicaUpdate: null };
  const sector = {
    miner: MINER,
    number: 7,
    sealProof: 'StackedDrg2KiBV1_1' as const,
    ticket: TICKET,
    commD: COMM_D,
    commR: COMM_R,
    pieces: [],
  };
  await world.run((ctx) => ctx.tx.putSectorRecord({ ...sector, ...nothing, source: 'csv' }));
  world.chain.proven(7);
  await ask('rebuild', 7);
  const pc2 = await world.until('PC1Done', [own]);
  await world.report(own, world.honest(pc2, { result: { commR: DATA_COMM_R, commD: COMM_D } }));
  expect((await deletions()).flatMap(({ keys }) => keys)).toEqual(expect.arrayContaining(keysOf(pc2)));
});

test.each(['failed', 'refused'])('of an attempt that %s: its uploads are ended too, whichever of them are open still', async (how) => {
  const id = await ask('sealer');
  const pc1 = await world.until('TicketAssigned', [own]);
  await openUploads(pc1);
  await world.report(own, how === 'failed' ? world.failure(pc1, 'transfer_failed') : world.honest(pc1, { outputs: [] }));
  const wanted = (await deletions()).filter(({ keys }) => keys.some((key) => keysOf(pc1).includes(key)));
  expect(wanted).toHaveLength(1);
  expect(wanted[0]?.uploads?.map(({ uploadId }) => uploadId)).toEqual(pc1.grant.outputs.map(({ name }) => `upload of ${name}`));
  expect(await world.run((ctx) => ctx.tx.uploadsOfAttempt(pc1.grant.attempt))).toEqual([]);
  await world.finish([own]);
  expect(await world.job(id)).toMatchObject({ state: 'Finished' });
});
