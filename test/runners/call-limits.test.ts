/** How long the agent waits for answers: a report may cost the control plane a copy of all its parts. */
import { afterEach, expect, onTestFinished, test, vi } from 'vitest';
import { listen } from '../../src/main/http-server.ts';
import { ControlPlane } from '../../src/runners/control-plane.ts';
import { AttemptId } from '../../src/schema/ids.ts';
import type { NextRequest } from '../../src/schema/runner.ts';

afterEach(() => vi.restoreAllMocks());

const EMPTY: NextRequest = {
  bootId: 'boot-of-a-test',
  freeSlots: 1,
  running: [],
  reports: [],
  resources: { cores: 1, ramBytes: 1, diskFreeBytes: 1, gpus: [] },
  waitMs: 0,
};
const FAILED = {
  outcome: 'failed',
  attempt: AttemptId.parse('a-000000000000'),
  epoch: 1,
  code: 'internal',
  message: 'as the test wants it',
} as const;

/** The limits set for one call of `next`, in milliseconds. */
async function limitsMs(request: NextRequest): Promise<number[]> {
  const { port, close } = await listen(() => Response.json({ reports: [], grants: [], cancel: [] }), '127.0.0.1', 0);
  onTestFinished(() => close(0));
  const limits = vi.spyOn(AbortSignal, 'timeout');
  await new ControlPlane(`http://127.0.0.1:${port}`, 'sp-run-of-a-test').next(request, new AbortController().signal);
  return limits.mock.calls.map(([ms]) => ms);
}

test('a call with reports waits for minutes, a long poll no longer than it asked for and a little', async () => {
  expect(Math.min(...(await limitsMs({ ...EMPTY, reports: [FAILED] })))).toBeGreaterThanOrEqual(300_000);
  vi.restoreAllMocks();
  expect(await limitsMs({ ...EMPTY, waitMs: 15_000 })).toEqual([25_000]);
});
