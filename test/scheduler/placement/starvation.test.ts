/**
 * Ten thousand hours of a fleet that always has more to do than it can: the engine's own placement functions under a virtual
 * clock, without a store. One machine is there and never takes anything, one comes and goes, miners differ in priority,
 * and PC2 would rather stay with its layers. Nothing may wait longer than the rules allow.
 */
import { expect, test } from 'vitest';
import { type Asked } from '../../../src/scheduler/placement/asked.ts';
import { needsOf } from '../../../src/scheduler/placement/needs.ts';
import { queueMs, roomOf } from '../../../src/scheduler/placement/load.ts';
import { leaveTo } from '../../../src/scheduler/placement/place.ts';
import { type Slack, URGENT_MS, rankOf } from '../../../src/scheduler/placement/rank.ts';
import { costOf } from '../../../src/scheduler/placement/score.ts';
import type { RunnerRow, RunningStage } from '../../../src/scheduler/ports.ts';
import type { SealProof } from '../../../src/schema/seal-proof.ts';
import { Rng } from '../../sim/prng.ts';
import { GIB, machine } from './rows.ts';

const PROOF: SealProof = 'StackedDrg32GiBV1_1';
const HOUR = 3_600_000;
const HOURS = 10_000;
const PATIENCE = { waitingUsdPerHour: 1, patienceMs: HOUR };
const MOST_PRIORITY = 24;
const STAGES = ['PC1', 'PC2', 'C2'] as const;

type Line = { readonly n: number; readonly priority: number; at: number; sinceMs: number; ticketMs: number; layersBy: string };
type Machine = {
  readonly row: RunnerRow;
  readonly running: (RunningStage & { line: Line; endMs: number })[];
  asks: boolean;
  there: boolean;
};
type Order = (line: Line, nowMs: number) => number;

const fair: Order = ({ sinceMs, priority, at, ticketMs }, nowMs) => {
  const slack: Slack | undefined = STAGES[at] === 'PC2' ? { of: 'pre_commit', leftMs: ticketMs + 23 * HOUR - nowMs } : undefined;
  return rankOf(sinceMs, nowMs, priority, slack);
};

function askedBy(line: Line): Asked {
  const stage = STAGES[line.at] as (typeof STAGES)[number];
  const inputs = stage === 'PC2' ? [{ key: `${line.n}`, sizeBytes: 13 * 32 * GIB, madeBy: line.layersBy }] : [];
  return { stage, proof: PROOF, inputs, needs: needsOf(stage, PROOF), keptMs: 0 };
}

function fleet(): Machine[] {
  const of = (n: number, stages: RunnerRow['stages'], slots: number, labels: string[] = []): Machine => ({
    row: machine(n, { stages, slots, labels }),
    running: [],
    asks: true,
    there: true,
  });
  return [
    of(1, ['PC1', 'PC2'], 2),
    of(2, ['PC1', 'PC2', 'C2'], 1),
    of(3, ['PC2', 'C2'], 1, ['usd_per_hour=0.4']),
    // Cheap and idle in all eyes, and it never asks.
    { ...of(4, [...STAGES], 8), asks: false },
    of(5, ['PC1', 'PC2'], 1),
  ];
}

/** Longest wait of a stage, how many were done, and how many PC2 ran where the layers were. */
function play(order: Order, seed: number) {
  const rng = Rng.named(seed, 'placement');
  const machines = fleet();
  const lines = Array.from({ length: 16 }, (_, n): Line => {
    const priority = n < 12 ? MOST_PRIORITY : -MOST_PRIORITY;
    return { n, priority, at: 0, sinceMs: 0, ticketMs: 0, layersBy: '' };
  });
  const queue = new Set(lines);
  let [nowMs, longestMs, done, stayed, moved] = [0, 0, 0, 0, 0];
  let wakeMs = Number.POSITIVE_INFINITY;

  const priced = (asked: Asked, { row, running }: Machine, atOnce: boolean) => {
    const waitMs = atOnce ? 0 : queueMs(row, asked.stage, roomOf(asked.needs, 0), running, nowMs);
    return waitMs === undefined ? [] : [{ runner: row.id, cost: costOf(asked, row, waitMs, PATIENCE.waitingUsdPerHour) }];
  };
  const take = (asker: Machine): boolean => {
    for (const line of [...queue].toSorted((a, b) => order(a, nowMs) - order(b, nowMs) || a.n - b.n)) {
      const asked = askedBy(line);
      if (!asker.row.stages.includes(asked.stage)) continue;
      const others = machines.filter((one) => one !== asker && one.there && one.row.stages.includes(asked.stage));
      const [own] = priced(asked, asker, true);
      if (own === undefined) continue;
      const leave = leaveTo(
        own,
        others.flatMap((one) => priced(asked, one, false)),
        line.sinceMs,
        nowMs,
        PATIENCE,
      );
      if (leave !== undefined) {
        wakeMs = Math.min(wakeMs, leave.untilMs);
        continue;
      }
      longestMs = Math.max(longestMs, nowMs - line.sinceMs);
      const stageMs = own.cost.stageS * 1000;
      const tookMs = (own.cost.transferS * 1000 + stageMs) * (rng.between(80, 140) / 100);
      if (asked.stage === 'PC1') Object.assign(line, { ticketMs: nowMs, layersBy: asker.row.id });
      if (asked.stage === 'PC2' && own.cost.lacksBytes === 0) stayed += 1;
      if (asked.stage === 'PC2' && own.cost.lacksBytes > 0) moved += 1;
      const expected = { fetchMs: own.cost.transferS * 1000, stageMs, ramBytes: 0, diskBytes: 0 };
      asker.running.push({
        runner: asker.row.id,
        stage: asked.stage,
        grantedMs: nowMs,
        secondsLeft: null,
        fraction: null,
        expected,
        line,
        endMs: nowMs + tookMs,
      });
      queue.delete(line);
      return true;
    }
    return false;
  };
  let comesMs = 50 * HOUR;
  while (nowMs < HOURS * HOUR) {
    for (const one of machines) while (one.asks && one.there && one.running.length < (one.row.slots ?? 1) && take(one));
    const ends = machines.flatMap(({ running }) => running.map(({ endMs }) => endMs));
    nowMs = Math.min(...ends, wakeMs, comesMs);
    if (nowMs >= wakeMs) wakeMs = Number.POSITIVE_INFINITY;
    for (const one of machines) {
      for (const ended of one.running.filter(({ endMs }) => endMs <= nowMs)) {
        one.running.splice(one.running.indexOf(ended), 1);
        const { line } = ended;
        line.at = (line.at + 1) % STAGES.length;
        line.sinceMs = nowMs;
        queue.add(line);
        done += 1;
      }
    }
    if (nowMs >= comesMs) {
      // What a vanished machine had in hand waits anew.
      const guest = machines[4] as Machine;
      guest.there = !guest.there;
      for (const { line } of guest.running.splice(0)) queue.add(Object.assign(line, { sinceMs: nowMs }));
      comesMs = nowMs + rng.between(5, 60) * HOUR;
    }
  }
  const waitingMs = Math.max(0, ...[...queue].map(({ sinceMs }) => nowMs - sinceMs));
  return { longestMs: Math.max(longestMs, waitingMs), done, stayed, moved };
}

/** Whoever is put before it was put back by at most so much, and a round of all sixteen comes on top. */
const BOUND_MS = URGENT_MS + 2 * MOST_PRIORITY * HOUR + 48 * HOUR;

test('nothing starves in 10,000 hours, and work goes on', () => {
  for (const seed of [1, 2, 3]) {
    const { longestMs, done, stayed, moved } = play(fair, seed);
    expect(longestMs).toBeLessThan(BOUND_MS);
    expect(done).toBeGreaterThan(HOURS / 2);
    // Machines that make layers have no place for hours, so that many move; a round in which none of both happens shows nothing.
    expect(Math.min(stayed, moved)).toBeGreaterThan(100);
  }
});

test('with priorities alone something would: the bound means something', () => {
  expect(play(({ priority, sinceMs }) => -priority * 1e6 * HOUR + sinceMs, 1).longestMs).toBeGreaterThan(2 * BOUND_MS);
});
