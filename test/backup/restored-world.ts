/** The scheduler's test world, restored: the database as it stands is the backup, and the chain is what the test says. */
import { expect } from 'vitest';
import { type TakenOver, takeOver } from '../../src/scheduler/inventory.ts';
import { abortJob } from '../../src/scheduler/operate.ts';
import type { EffectRow } from '../../src/scheduler/effects.ts';
import type { Pledge } from '../../src/scheduler/pledge.ts';
import { RESTORED, type Reconciled } from '../../src/scheduler/reconcile.ts';
import { restarted } from '../../src/scheduler/tick.ts';
import { commitmentOfHex } from '../../src/schema/commitment-cid.ts';
import type { RunnerId } from '../../src/schema/ids.ts';
import type { Job } from '../../src/schema/job.ts';
import type { SectorRecord } from '../../src/schema/sector-record.ts';
import type { Settings } from '../../src/scheduler/context.ts';
import { COMM_R, HonestChain, TICKET } from '../scheduler/honest.ts';
import { type Granted, MINER, World } from '../scheduler/world.ts';

/** What every honest run gives here: a commitment whose CID can be read. */
export const OUR_COMM_R = commitmentOfHex('sealed', COMM_R.hex);
export const OTHER_COMM_R = commitmentOfHex('sealed', 'ab'.repeat(32));
export const OTHER_TICKET = { value: 'cd'.repeat(32), epoch: 9_000 };

/** Nothing of the sector on the chain. */
export const NOTHING: Reconciled = { outcome: 'reconciled', preCommit: null, sector: null, taken: false, messages: [], missing: [] };

/** A pre-commit of ours, as far as not told otherwise. */
export function preCommitted(change: Partial<NonNullable<Reconciled['preCommit']>> = {}): Reconciled {
  const preCommit = { commR: OUR_COMM_R.cid, commD: null, sealProof: 5, epoch: 10_700, ticket: TICKET, ...change };
  return { ...NOTHING, taken: true, preCommit };
}

/** The sector proven, with our replica as far as not told otherwise. */
export function proven(change: Partial<NonNullable<Reconciled['sector']>> = {}): Reconciled {
  const sector = new HonestChain().proven(1, OUR_COMM_R.cid);
  return { ...NOTHING, taken: true, sector: { ...sector, ...change } };
}

/** Sector 1 as its `sector.json` in the miner storage tells of it. */
const STORED_SECTOR: SectorRecord = {
  miner: MINER,
  number: 1,
  sealProof: 'StackedDrg2KiBV1_1',
  ticket: TICKET,
  commD: null,
  commR: OUR_COMM_R,
  pieces: [],
  update: null,
  files: { storage: 'store', root: '/storage', files: null },
  preCommit: null,
  proveCommit: null,
  replicaUpdate: null,
  source: 'sealpool',
};

const PLANS = ['sealer', 'snapup', 'rebuild', 'unseal'] as const;

export class RestoredWorld extends World {
  own: RunnerId = '' as RunnerId;
  /** Message effects performed since the restore, by step. */
  readonly sent: string[] = [];

  constructor(settings: Partial<Settings> = {}) {
    super({ threads: PLANS.map((plan, index) => ({ worker: 'local', index, plan, miner: null, auto: false })), ...settings });
  }

  override async start(): Promise<void> {
    await super.start();
    this.own = (await this.register('own-1')).id;
  }

  override honest(granted: Granted, changes: Record<string, unknown> = {}): Record<string, unknown> {
    const answer = super.honest(granted, changes);
    const result = answer['result'] as { commR?: { cid: string } };
    return result.commR?.cid === COMM_R.cid ? { ...answer, result: { ...result, commR: OUR_COMM_R } } : answer;
  }

  override async perform(effect: EffectRow, outcome?: Parameters<World['perform']>[1]): Promise<void> {
    if (effect.want.kind === 'message') this.sent.push(effect.step);
    await super.perform(effect, outcome);
  }

  /** A job that was brought to `state` before the backup; its stage there runs. */
  async backedUpIn(state: string, request: Partial<Pledge> = {}): Promise<{ id: Job['id']; running: Granted }> {
    const id = await this.ask(request);
    return { id, running: await this.until(state, [this.own]) };
  }

  /** Starts as after `sealpool restore`, and answers each comparison like this. */
  async restore(seen: Reconciled): Promise<void> {
    await this.markRestored();
    for (const effect of await this.comparing()) await super.perform(effect, seen);
  }

  async markRestored(): Promise<void> {
    this.sent.length = 0;
    await this.run((ctx) => ctx.tx.setMeta(RESTORED, String(this.nowMs)));
    await this.run((ctx) => restarted(ctx));
  }

  /** Comparisons that are due. */
  async comparing(): Promise<EffectRow[]> {
    return (await this.effects()).filter(({ want }) => want.kind === 'reconcile');
  }

  /** As `sealpool import` would. */
  imported(record: Partial<SectorRecord> = {}): Promise<TakenOver> {
    return this.run((ctx) => takeOver(ctx, [{ ...STORED_SECTOR, ...record }], () => true));
  }

  /** Does what the job's error tells, in that order: it names the abort first, since no import is taken before. */
  async doAsTold(id: Job['id'], record: Partial<SectorRecord> = {}): Promise<void> {
    expect((await this.job(id)).error?.message).toMatch(/abort this job with force.*, then .*sealpool import/);
    expect((await this.imported(record)).refused).toMatchObject([{ reason: expect.stringContaining('import it when that job has ended') }]);
    await this.run((ctx) => abortJob(ctx, id, { force: true }, 'test'));
    expect(await this.imported(record)).toEqual({ imported: 1, unchanged: 0, refused: [] });
  }
}
