/** Time that neither jumps nor goes back, whatever the wall clock does. Both clocks are the test's. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { steadyClock } from '../../src/main/steady-clock.ts';

const HOUR_MS = 3_600_000;

function clocks(wallMs: number) {
  const time = { wallMs, elapsedMs: 5 };
  return { time, sources: { wallMs: () => time.wallMs, elapsedMs: () => time.elapsedMs } };
}

test('whatever the wall clock does, time passes at nine to eleven tenths of its speed', () => {
  const step = fc.record({ passMs: fc.integer({ min: 0, max: 60_000 }), jumpMs: fc.integer({ min: -5 * HOUR_MS, max: 5 * HOUR_MS }) });
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const { time, sources } = clocks(100 * HOUR_MS);
      const clock = steadyClock(0, sources);
      let before = clock.now();
      for (const { passMs, jumpMs } of steps) {
        time.elapsedMs += passMs;
        time.wallMs += passMs + jumpMs;
        const now = clock.now();
        // Whole milliseconds are told: one may be lost to rounding at either end.
        expect(now - before).toBeGreaterThanOrEqual(Math.floor(passMs * 0.9) - 1);
        expect(now - before).toBeLessThanOrEqual(Math.ceil(passMs * 1.1) + 1);
        before = now;
      }
    }),
  );
});

test.each([HOUR_MS, -HOUR_MS])('a correction of %i ms is made up in ten hours, then followed exactly', (jumpMs) => {
  const { time, sources } = clocks(100 * HOUR_MS);
  const clock = steadyClock(0, sources);
  time.wallMs += jumpMs;
  for (let minute = 0; minute < 11 * 60; minute += 1) {
    time.elapsedMs += 60_000;
    time.wallMs += 60_000;
    clock.now();
  }
  expect(Math.abs(clock.now() - time.wallMs)).toBeLessThanOrEqual(1);
});

test('it begins no earlier than the last time that was written down', () => {
  const { sources } = clocks(100 * HOUR_MS);
  expect(steadyClock(101 * HOUR_MS, sources).now()).toBe(101 * HOUR_MS);
  expect(steadyClock(99 * HOUR_MS, sources).now()).toBe(100 * HOUR_MS);
});
