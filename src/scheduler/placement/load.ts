/** What a runner has in hand, and when it has room for one stage more. */
import type { RunningStage, RunnerRow } from '../ports.ts';
import { termsOf } from '../../schema/runner-label.ts';
import { HEAVY, type Stage } from '../../schema/stage.ts';
import type { Needs } from './needs.ts';

/** Further ahead than anything is planned. */
const MOST_MS = 1e12;

/** What a stage takes away: memory, and room in the work folder. */
export type Room = { readonly ramBytes: number; readonly diskBytes: number };

/** `fetchBytes`: inputs that it has to fetch. */
export const roomOf = (needs: Needs, fetchBytes: number): Room => ({
  ramBytes: needs.ramBytes,
  diskBytes: needs.outputBytes + fetchBytes,
});

/** When a running stage is over: as its runner says, else as was expected; one that is late, or of which nothing was expected, takes longer. */
export function endsMs(running: RunningStage, nowMs: number): number {
  const goneMs = Math.max(0, nowMs - running.grantedMs);
  const { expected } = running;
  if (running.secondsLeft !== null) return nowMs + Math.min(MOST_MS, running.secondsLeft * 1000);
  if (expected === undefined) return nowMs + goneMs;
  return Math.max(running.grantedMs + expected.fetchMs + expected.stageMs, nowMs + goneMs / 10);
}

/** Why the runner has no room for the stage beside what runs, as a clause; undefined: it has. */
export function cramped(runner: RunnerRow, needs: Room, running: readonly RunningStage[]): string | undefined {
  if (termsOf(runner.labels).unchecked) return undefined;
  const { ramBytes, diskFreeBytes } = runner.resources;
  const ramLeft = running.reduce((left, { expected }) => left - (expected?.ramBytes ?? 0), ramBytes);
  if (needs.ramBytes > 0 && needs.ramBytes > ramLeft)
    return `it has ${gib(Math.max(0, ramLeft))} of memory left, and the stage needs ${gib(needs.ramBytes)}`;
  const diskLeft = running.reduce(
    (left, { expected, fraction }) => left - (expected?.diskBytes ?? 0) * (1 - done(fraction)),
    diskFreeBytes,
  );
  if (needs.diskBytes > Math.max(0, diskLeft))
    return `it has ${gib(Math.max(0, diskLeft))} of disk left, and the stage needs ${gib(needs.diskBytes)}`;
  return undefined;
}

/** Milliseconds until the heavy stages that it has in hand are over, one after the other, where this is one more; else 0. */
export function heavyMs(stage: Stage, running: readonly RunningStage[], nowMs: number): number {
  if (!HEAVY.has(stage)) return 0;
  const [first, ...behind] = running.filter((one) => HEAVY.has(one.stage)).toSorted((one, other) => one.grantedMs - other.grantedMs);
  if (first === undefined) return 0;
  return Math.max(0, endsMs(first, nowMs) - nowMs) + behind.reduce((sum, { expected }) => sum + (expected?.stageMs ?? 0), 0);
}

/**
 * Milliseconds until the runner has a place and room, and begins the stage; undefined: it never will. What has ended gives back its memory, and
 * the disk it had written to. `slots` of a runner that never said: one.
 */
export function queueMs(runner: RunnerRow, stage: Stage, needs: Room, running: readonly RunningStage[], nowMs: number): number | undefined {
  const heavy = heavyMs(stage, running, nowMs);
  const inOrder = running.map((one) => ({ one, ends: endsMs(one, nowMs) })).toSorted((a, b) => a.ends - b.ends);
  const slots = Math.max(1, runner.slots ?? 1);
  for (let ended = 0; ended <= inOrder.length; ended += 1) {
    const left = inOrder.slice(ended).map(({ one }) => one);
    if (left.length >= slots) continue;
    const freed = inOrder
      .slice(0, ended)
      .reduce((sum, { one: { expected, fraction } }) => sum + (expected?.diskBytes ?? 0) * done(fraction), 0);
    const then = { ...runner, resources: { ...runner.resources, diskFreeBytes: runner.resources.diskFreeBytes + freed } };
    if (cramped(then, needs, left) !== undefined) continue;
    return ended === 0 ? heavy : Math.max(heavy, (inOrder[ended - 1]?.ends ?? nowMs) - nowMs);
  }
  return undefined;
}

const done = (fraction: number | null): number => Math.min(1, Math.max(0, fraction ?? 0));

const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
