/** A small world around the real engine and the real store: virtual time, honest or faulty answers on request. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import type { Context, Settings, Signal } from '../../src/scheduler/context.ts';
import { DEFAULTS } from '../../src/scheduler/context.ts';
import type { EffectOutcome, EffectRow } from '../../src/scheduler/effects.ts';
import { registerRunner } from '../../src/scheduler/fleet.ts';
import { grantStages, type GrantPlan } from '../../src/scheduler/grants.ts';
import type { ReportAnswer } from '../../src/scheduler/held-attempt.ts';
import { effectDone, effectSigned } from '../../src/scheduler/outbox.ts';
import type { RunnerRow, Store } from '../../src/scheduler/ports.ts';
import { type Pledge, pledge } from '../../src/scheduler/pledge.ts';
import { applyReport } from '../../src/scheduler/reports.ts';
import { restarted, tick } from '../../src/scheduler/tick.ts';
import { exactSizeBytes } from '../../src/schema/artifact.ts';
import { type MinerId, MinerId as Miner, PieceId, type RunnerId } from '../../src/schema/ids.ts';
import type { JobEvent } from '../../src/schema/event.ts';
import type { Job } from '../../src/schema/job.ts';
import { Report, type Trust } from '../../src/schema/runner.ts';
import type { SectorRecord } from '../../src/schema/sector-record.ts';
import { Stage } from '../../src/schema/stage.ts';
import { openNodeStore } from '../../src/store/node.ts';
import { HonestChain, digest, honestResult } from './honest.ts';

function fill(path: string, sql: string): void {
  const database = new Database(path);
  database.exec(sql);
  database.close();
}

export const MINER: MinerId = Miner.parse('t01000');

export type Granted = { readonly runner: RunnerId; readonly grant: GrantPlan };

/** SQL of a database to go on with, and what of its time, ids and nonces is used up. */
export type Kept = { readonly sql: string; readonly nowMs: number; readonly ids: number; readonly nonce: number };

export class World {
  nowMs: number;
  readonly chain = new HonestChain();
  readonly store: Store;
  readonly settings: Settings;
  /** The database file. */
  readonly path: string;
  private ids: number;
  private nonce: number;
  private readonly folder: string;

  constructor(settings: Partial<Settings> = {}, { sql, nowMs, ids, nonce }: Kept = { sql: '', nowMs: 1_000_000, ids: 0, nonce: 0 }) {
    this.nowMs = nowMs;
    this.ids = ids;
    this.nonce = nonce;
    this.folder = mkdtempSync(join(tmpdir(), 'sealpool-world-'));
    this.path = join(this.folder, 'sealpool.db');
    if (sql !== '') fill(this.path, sql);
    this.store = openNodeStore({
      path: this.path,
      onFatal: (error) => {
        throw error;
      },
    });
    this.settings = {
      ...DEFAULTS,
      // Tests jump in time on purpose; what a jump means to a running control plane has a test of its own.
      stallMs: Number.MAX_SAFE_INTEGER,
      network: 'dev',
      miners: { [MINER]: { sealProof: 'StackedDrg2KiBV1_1', firstSector: 1, lastSector: 1000, allowCc: true } },
      threads: [{ worker: 'local', index: 0, plan: 'sealer', miner: null, auto: false }],
      ...settings,
    };
  }

  run<T>(fn: (ctx: Context) => T): Promise<T> {
    return this.store.commit(((tx) =>
      fn({ tx, nowMs: this.nowMs, ids: this.idSource, settings: this.settings, signals: new Set<Signal>() })) as Parameters<
      Store['commit']
    >[0]) as Promise<T>;
  }

  /** How many ids and nonces were given out. */
  get used(): { ids: number; nonce: number } {
    return { ids: this.ids, nonce: this.nonce };
  }

  private readonly idSource = {
    next: (prefix: string): string => `${prefix}-${String((this.ids += 1)).padStart(8, '0')}`,
    hex: (bytes: number): string =>
      digest(`random ${(this.ids += 1)}`)
        .repeat(4)
        .slice(0, bytes * 2),
  };

  async start(): Promise<void> {
    await this.run((ctx) => restarted(ctx));
  }

  close(): void {
    this.store.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** A runner that does every stage; an own one has storage. */
  register(name: string, trust: Trust = 'own', stages: readonly Stage[] = Stage.options): Promise<RunnerRow> {
    return this.run((ctx) => {
      const hash = digest(`token ${name}`);
      ctx.tx.insertJoinToken({ hash, trust, labels: [], expiresMs: this.nowMs + 1e9, usedBy: null });
      const resources = { cores: 2, ramBytes: 1e12, diskFreeBytes: 1e13, gpus: [{ model: 'of a test', vramBytes: 48 * 2 ** 30 }] };
      return registerRunner(
        ctx,
        {
          token: 'x'.repeat(32),
          name,
          bootId: 'boot-0001',
          agentVersion: '1',
          stages: [...stages],
          storage: trust === 'own' ? ['store'] : [],
          resources,
        },
        hash,
        digest(`credential ${name}`),
      );
    });
  }

  /** Queues one job; answers its id. */
  async ask(request: Partial<Pledge> = {}): Promise<Job['id']> {
    const [job] = await this.run((ctx) => pledge(ctx, { plan: 'sealer', miner: MINER, count: 1, ...request }, 'test'));
    return (job as Job).id;
  }

  /** What is known of a sector. */
  record(number: number): Promise<SectorRecord | undefined> {
    return this.run((ctx) => ctx.tx.sectorRecord(MINER, number));
  }

  /** An uploaded piece that fills a sector. */
  piece(reserved = false): Promise<PieceId> {
    return this.run((ctx) => {
      const id = PieceId.parse(ctx.ids.next('p'));
      const sizes = { sizeBytes: '2032', paddedSizeBytes: '2048', hash: `sha256:${digest(id)}` };
      ctx.tx.insertPiece({ id, miner: MINER, key: `pieces/${id}`, ...sizes, cid: null, job: null, reserved, createdMs: this.nowMs });
      return id;
    });
  }

  async grant(runner: RunnerId, slots = 1): Promise<Granted[]> {
    const grants = await this.run((ctx) => grantStages(ctx, ctx.tx.runner(runner) as RunnerRow, slots));
    return grants.map((grant) => ({ runner, grant }));
  }

  report(runner: RunnerId, report: unknown): Promise<ReportAnswer> {
    const parsed = Report.parse(report);
    return this.run((ctx) => applyReport(ctx, ctx.tx.runner(runner) as RunnerRow, parsed));
  }

  /** What an honest runner would answer. */
  honest({ grant }: Granted, changes: Record<string, unknown> = {}): Record<string, unknown> {
    const proof = grant.work.kind === 'prover' ? grant.work.sector.sealProof : 'StackedDrg2KiBV1_1';
    const outputs = grant.outputs.map(({ name }) => ({
      name,
      sizeBytes: String(exactSizeBytes(name, proof) ?? 2048),
      hash: `sha256:${digest(name)}`,
      parts: [{ number: 1, etag: 'x' }],
    }));
    return { outcome: 'done', attempt: grant.attempt, epoch: grant.epoch, outputs, result: honestResult(grant), ...changes };
  }

  failure({ grant }: Granted, code: string, changes: Record<string, unknown> = {}): Record<string, unknown> {
    return { outcome: 'failed', attempt: grant.attempt, epoch: grant.epoch, code, message: `it failed with ${code}`, ...changes };
  }

  effects(): Promise<readonly EffectRow[]> {
    return this.run((ctx) => ctx.tx.effectsDue(this.nowMs, 1000));
  }

  /** Signs a message and keeps it, as the performer does before it pushes; false when it was withdrawn. */
  async sign(effect: EffectRow): Promise<boolean> {
    const { nonce } = this;
    const kept = await this.run((ctx) =>
      effectSigned(ctx, effect.id, {
        sender: 't3a',
        nonce,
        cid: `bafy${effect.id}`,
        signed: '{"Message":{"Value":"1500000000000000000"}}',
        pushed: false,
      }),
    );
    if (kept) this.nonce += 1;
    return kept;
  }

  /** Performs an effect as the performer would: signs before it reports a push. */
  async perform(effect: EffectRow, outcome?: EffectOutcome): Promise<void> {
    const result = outcome ?? this.chain.outcome(effect);
    const signs = effect.want.kind === 'message' && effect.signed === null && result.outcome === 'pushed';
    if (signs && !(await this.sign(effect))) return;
    await this.run((ctx) => effectDone(ctx, effect.id, result));
  }

  async tick(forwardMs = 0): Promise<void> {
    this.nowMs += forwardMs;
    await this.run((ctx) => tick(ctx));
  }

  job(id: Job['id']): Promise<Job> {
    return this.run((ctx) => ctx.tx.job(id) as Job);
  }

  events(id: Job['id']): Promise<readonly JobEvent[]> {
    return this.run((ctx) => ctx.tx.eventsOfJob(id, 100_000));
  }

  /** Answers honestly until a stage is granted in `state`, and returns that grant unanswered. */
  async until(state: string, runners: readonly RunnerId[]): Promise<Granted> {
    for (let round = 0; round < 100; round += 1) {
      for (const effect of await this.effects()) await this.perform(effect);
      for (const runner of runners) {
        for (const one of await this.grant(runner)) {
          const attempt = await this.run((ctx) => ctx.tx.attempt(one.grant.attempt));
          if (attempt?.state === state) return one;
          await this.report(runner, this.honest(one));
        }
      }
      await this.tick(1_000);
    }
    throw new Error(`no stage was granted in ${state}`);
  }

  /** Answers everything honestly until nothing moves any more. */
  async finish(runners: readonly RunnerId[], rounds = 200): Promise<void> {
    for (let round = 0; round < rounds; round += 1) {
      const due = await this.effects();
      for (const effect of due) await this.perform(effect);
      const granted = (await Promise.all(runners.map((runner) => this.grant(runner, 4)))).flat();
      for (const one of granted) await this.report(one.runner, this.honest(one));
      await this.tick(due.length + granted.length === 0 ? 30_000 : 0);
      const idle = await this.run((ctx) =>
        ctx.tx.countJobs().every(({ state, paused }) => paused || state === 'Finished' || state === 'Aborted'),
      );
      if (idle && due.length + granted.length === 0) return;
    }
  }
}
