/** What a runner says when it asks for work: everything that has not been taken yet goes along. */
import type { AttemptId } from '../../src/schema/ids.ts';
import type { Grant, HeartbeatRequest, NextRequest, Report } from '../../src/schema/runner.ts';
import type { SelfTestAnswer } from '../../src/schema/self-test.ts';
import type { FakeErrands } from './fake-errands.ts';
import type { Active, RunnerParts } from './runner-parts.ts';

type Word = {
  readonly bootId: string;
  readonly freeSlots: number;
  readonly running: { attempt: AttemptId; epoch: number }[];
  readonly reports: Report[];
  readonly tests: SelfTestAnswer[];
  readonly waitMs: number;
};

export function questionOf({ machine, version, disks, disk }: RunnerParts, errands: FakeErrands | undefined, word: Word): NextRequest {
  const { tests, ...rest } = word;
  const { moved = [], checked = [] } = errands ?? {};
  return {
    ...rest,
    resources: machine.resources,
    ...(tests.length === 0 ? {} : { tests }),
    ...(disks?.told === true ? { storage: disks.all.map((one) => one.told()) } : {}),
    ...(moved.length === 0 ? {} : { moved: [...moved] }),
    ...(checked.length === 0 ? {} : { checked: [...checked] }),
    ...(disk.cache === undefined ? {} : { cached: [...disk.cache.keys()].reverse() }),
    software: { version, arch: 'x64', upgrades: true },
  };
}

/** A stage that is given back. */
export function interrupted({ attempt, epoch }: Grant): Report {
  return { outcome: 'failed', attempt, epoch, code: 'interrupted', message: 'the runner was stopped; the stage goes elsewhere' };
}

/** So many artifacts have room in a cache. */
const CACHE_ROOM = 8;

/** Keeps what a stage read and made; what was used longest ago goes first. */
export function keepInCache(cache: Map<string, string> | undefined, grant: Grant, contents: ReadonlyMap<string, string>): void {
  if (cache === undefined) return;
  for (const { name, key } of [...grant.inputs, ...grant.outputs]) {
    const content = contents.get(name);
    if (key === undefined || content === undefined) continue;
    cache.delete(key);
    cache.set(key, content);
  }
  while (cache.size > CACHE_ROOM) cache.delete([...cache.keys()][0] as string);
}

/** What a heartbeat says of a stage. An honest one shows a fraction that rises until the work is done. */
export function beatOf(active: Active, { clock, machine }: RunnerParts): HeartbeatRequest['attempts'][number] {
  const { grant, sinceMs, workMs, pretends, urls } = active;
  const fraction = Math.min(0.95, (clock.nowMs - sinceMs) / (workMs + 1));
  const { secondsLeft } = machine;
  const { attempt, epoch } = grant;
  const told = { attempt, epoch, fraction, ...urls.wish, ...(secondsLeft === undefined ? {} : { secondsLeft }) };
  return pretends ? { ...told, note: `at ${clock.nowMs}` } : told;
}
