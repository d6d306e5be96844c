/** Which call fails: every N of a short run, or some drawn by a seed. And what must come of each. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { seededRandom } from '../e2e/killing.ts';
import { type Fault, type Played, playWrites, restartFinds } from './faulty-serve.ts';

const NEVER = '65535';

/** How many of these calls the short run makes without any fault: N goes from 1 to this. */
export async function callsOf(folder: string, prepared: string, calls: string): Promise<number> {
  const played = await playWrites(join(folder, 'without'), prepared, { calls, error: 'EIO', when: NEVER });
  expect(played).toMatchObject({ started: true, endedWith: undefined, writes: { answered: 10, refused: 0 } });
  await restartFinds(played);
  rmSync(join(folder, 'without'), { recursive: true });
  return played.calls.length;
}

/** Of a run's calls, those that the next run makes too. */
const SURE = 0.85;
export const sureOf = (most: number): number => Math.max(2, Math.floor(most * SURE));

/** No run came to the N-th call: the one that was counted made more than they do. */
export class NotReached extends Error {}

/** 1, then `count` numbers by the seed, the same for the same seed, of the calls that every run makes; 1…`most` without a `count`. */
export function drawn(seed: number, most: number, count = most): number[] {
  const random = seededRandom(seed);
  const last = count < most ? sureOf(most) : most;
  const rest = Array.from({ length: last - 1 }, (_, at) => at + 2);
  const some = Array.from({ length: Math.min(count, rest.length) }, () => rest.splice(Math.floor(random() * rest.length), 1)[0] as number);
  return [1, ...some.sort((a, b) => a - b)];
}

/** Which writes share a transaction depends on the moment: a run may make a few calls fewer than the one before. */
const MOST_RUNS = 5;

/** One run with the fault at the N-th call, then a restart; answers how it went. Run again when it did not come to N calls. */
export async function faultAt(folder: string, prepared: string, fault: Fault, judge: (played: Played) => void): Promise<Played> {
  const at = join(folder, `${fault.error}-${fault.when}`);
  let played = await playWrites(at, prepared, fault);
  for (let run = 1; run < MOST_RUNS && !played.calls.some(({ injected }) => injected); run += 1) {
    rmSync(at, { recursive: true });
    played = await playWrites(at, prepared, fault);
  }
  const story = `${fault.calls} ${fault.when} with ${fault.error}`;
  if (!played.calls.some(({ injected }) => injected)) {
    rmSync(at, { recursive: true });
    throw new NotReached(`${story}: the fault was not injected: the run made fewer calls than before`);
  }
  try {
    judge(played);
    await restartFinds(played);
  } catch (error) {
    throw new Error(`${story}: ${(error as Error).message}\n${played.log.slice(-1_500)}`, { cause: error });
  }
  rmSync(at, { recursive: true });
  return played;
}

/** After an I/O error the process is gone with a sentence: what it could still answer might not be on the disk. */
export function endsItself({ calls, started, endedWith, writes, log }: Played): void {
  const failed = calls.find(({ injected }) => injected);
  if (!started) {
    expect(endedWith).toBe(1);
    expect(log).toMatch(/sealpool failed: .+; .+/);
  } else if (failed?.file === '-wal' && writes.answered < 10) {
    expect(endedWith).toBe(1);
    expect(log).toMatch(/the control plane ends: disk I\/O error/);
  }
}

/** A disk without room for a few writes: refused while serving, all answered in the end, and it lives on. */
export function healsItself({ started, endedWith, writes, log }: Played): void {
  if (started) expect({ endedWith, answered: writes.answered }).toEqual({ endedWith: undefined, answered: 10 });
  else {
    expect(endedWith).toBe(1);
    expect(log).toMatch(/sealpool failed: .*free space/);
  }
}
