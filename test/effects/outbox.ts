/**
 * A store, a door and the two engine functions in their simplest honest form: what effects stand on, with
 * the database for real.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import type { EffectId, MinerId } from '../../src/schema/ids.ts';
import type { EffectOutcome, EffectRow, EffectWant, MessageWant, SignedMessage } from '../../src/scheduler/effects.ts';
import type { Store, Tx } from '../../src/scheduler/ports.ts';
import type { EffectContext, EffectDoor, EffectEngine } from '../../src/effects/door.ts';
import { openNodeStore } from '../../src/store/node.ts';
import { effect, MINER } from '../store/rows.ts';

export const COMM_R = 'bagboea4b5abc';

export function preCommit(number: number, miner: MinerId = MINER): EffectWant {
  const message: MessageWant = { method: 'PreCommitSectorBatch2', miner, number, sealProof: 5, commR: COMM_R, commD: null, ticketEpoch: 1 };
  return { kind: 'message', message };
}

export type Outbox = {
  readonly store: Store;
  readonly door: EffectDoor<EffectContext>;
  readonly engine: EffectEngine<EffectContext>;
  /** Signed messages whose storing was committed. */
  readonly stored: Map<string, SignedMessage>;
  /** What was reported, in order; waits are left out. */
  readonly reported: { id: EffectId; outcome: EffectOutcome }[];
  readonly waits: { id: EffectId; outcome: EffectOutcome }[];
  add(...rows: EffectRow[]): Promise<void>;
  row(id: EffectId): Promise<EffectRow>;
  /** Resolves when no effect is open. */
  settled(): Promise<void>;
};

/** A fresh outbox; errors of effects are tried again after a millisecond. */
export function openOutbox(): Outbox {
  const folder = mkdtempSync(join(tmpdir(), 'sealpool-effects-'));
  const store = openNodeStore({ path: join(folder, 'a.db'), onFatal: (error) => expect.fail(error.message) });
  onTestFinished(() => {
    store.close();
    rmSync(folder, { recursive: true });
  });
  const waiters = new Set<() => void>();
  const heard = new Set<() => void>();
  const stored = new Map<string, SignedMessage>();
  const reported: Outbox['reported'] = [];
  const waits: Outbox['waits'] = [];
  let written = false;

  async function run<T>(fn: (ctx: EffectContext) => T extends PromiseLike<unknown> ? never : T): Promise<T> {
    const result = await store.commit<T>((tx) => fn({ tx, nowMs: Date.now() }));
    if (written) {
      written = false;
      for (const row of await store.commit((tx) => signedRows(tx))) stored.set(row.cid, row);
      for (const wake of waiters) wake();
      for (const hear of heard) hear();
    }
    return result;
  }

  const ids = new Set<EffectId>();
  const signedRows = (tx: Tx): SignedMessage[] => [...ids].flatMap((id) => tx.effect(id)?.signed ?? []);

  return {
    store,
    stored,
    reported,
    waits,
    door: {
      run,
      changed: (_signal, abort) =>
        new Promise((resolve) => {
          const done = (): void => {
            waiters.delete(done);
            resolve();
          };
          waiters.add(done);
          abort.addEventListener('abort', done, { once: true });
        }),
    },
    engine: {
      effectSigned({ tx }, id, signed) {
        const row = tx.effect(id);
        if (row === undefined || row.status !== 'open') return false;
        expect(row.signed, 'signed twice').toBeNull();
        tx.updateEffect({ ...row, signed });
        written = true;
        return true;
      },
      effectDone({ tx, nowMs }, id, outcome) {
        const row = tx.effect(id);
        if (row === undefined || row.status !== 'open') return;
        const again = outcome.outcome === 'wait' || (outcome.outcome === 'error' && outcome.category === 'temporary');
        (outcome.outcome === 'wait' ? waits : reported).push({ id, outcome });
        const dueMs = nowMs + (outcome.outcome === 'wait' ? outcome.forMs : 1);
        const signed = row.signed === null || outcome.outcome !== 'pushed' ? row.signed : { ...row.signed, pushed: true };
        tx.updateEffect(again ? { ...row, dueMs } : { ...row, signed, status: outcome.outcome === 'error' ? 'failed' : 'done' });
        written = true;
      },
    },
    async add(...rows) {
      for (const row of rows) ids.add(row.id);
      written = true;
      await run(({ tx }) => {
        for (const row of rows) tx.insertEffect(row);
      });
    },
    async row(id) {
      const row = await store.commit((tx) => tx.effect(id));
      if (row === undefined) throw new Error(`no effect ${id}`);
      return row;
    },
    async settled() {
      for (;;) {
        const change = new Promise<void>((resolve) => {
          const hear = (): void => {
            heard.delete(hear);
            resolve();
          };
          heard.add(hear);
        });
        const open = await store.commit((tx) => [...ids].filter((id) => tx.effect(id)?.status === 'open').length);
        if (open === 0) return;
        await change;
      }
    },
  };
}

export const messageEffect = (n: number, miner: MinerId = MINER): EffectRow => effect(n, { want: preCommit(n, miner) });
