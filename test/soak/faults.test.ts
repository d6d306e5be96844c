/** Every N-th fsync and write of a short run fails, one at a time, and an upgrade dies at each: what test/faults and test/golden draw some of. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { hasStrace, preparedFolder } from '../faults/faulty-serve.ts';
import { killedAt } from '../golden/interrupted.ts';
import { NotReached, callsOf, drawn, endsItself, faultAt, healsItself, sureOf } from '../faults/sweep.ts';

const TELL_EVERY = 25;

let folder: string;
let prepared: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sealpool-faults-'));
  if (hasStrace) prepared = await preparedFolder(folder);
}, 60_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.runIf(hasStrace).each([
  ['fsync,fdatasync', 'EIO', endsItself],
  ['fsync,fdatasync', 'ENOSPC', endsItself],
  ['pwrite64', 'EIO', endsItself],
  ['pwrite64', 'ENOSPC', healsItself],
] as const)('every %s with %s', async (calls, error, judge) => {
  const most = await callsOf(folder, prepared, calls);
  const startedMs = performance.now();
  let ended = 0;
  let refused = 0;
  for (const n of drawn(0, most)) {
    const when = judge === healsItself ? `${n}..${n + 2}` : String(n);
    const played = await faultAt(folder, prepared, { calls, error, when }, judge).catch((error: unknown) => {
      if (error instanceof NotReached && n > sureOf(most)) return undefined;
      throw error;
    });
    if (played === undefined) {
      console.log(`no run came to the ${n}. of ${most} ${calls}`);
      continue;
    }
    const { endedWith, writes } = played;
    if (endedWith !== undefined) ended += 1;
    refused += writes.refused;
    if (n % TELL_EVERY === 0 || n === most) {
      console.log(
        `${n} of ${most} ${calls} with ${error}: ${ended} ended it, ${refused} answers 503, ${Math.round((performance.now() - startedMs) / 1_000)} s`,
      );
    }
  }
  expect(judge === healsItself ? refused : ended).toBeGreaterThan(0);
});

test.runIf(hasStrace)('an upgrade killed at every one of its calls', () => {
  let n = 1;
  while (killedAt(n)) n += 1;
  console.log(`killed at ${n - 1} calls`);
  expect(n).toBeGreaterThan(20);
});
