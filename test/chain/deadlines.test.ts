/** Deadline arithmetic against deadlines that mainnet and test networks once had, as their nodes logged them. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { deadlineIsMutable, nextWindow, periodStartAt, type ProvingSchedule } from '../../src/chain/deadlines.ts';

const mainnet = (periodStart: number): ProvingSchedule => ({ periodStart, provingPeriod: 2880, challengeWindow: 60 });

describe('windows', () => {
  test.each([
    { epoch: 170_851, periodStart: 170_578, index: 4, open: 170_818, close: 170_878 },
    { epoch: 15_761, periodStart: 15_111, index: 11, open: 15_771, close: 15_831 },
    { epoch: 31_436, periodStart: 29_458, index: 32, open: 31_378, close: 31_438 },
    // A period that has not begun: its first deadline.
    { epoch: 1_109_280, periodStart: 1_109_289, index: 0, open: 1_109_289, close: 1_109_349 },
  ])('deadline $index as a node told it at epoch $epoch', ({ epoch, periodStart, index, open, close }) => {
    expect(nextWindow(mainnet(periodStart), index, epoch)).toEqual({ open, close });
  });

  test('one that has closed is the next period’s', () => {
    const schedule = mainnet(1000);
    expect(nextWindow(schedule, 2, 1179)).toEqual({ open: 1120, close: 1180 });
    expect(nextWindow(schedule, 2, 1180)).toEqual({ open: 4000, close: 4060 });
    expect(periodStartAt(schedule, 3879)).toBe(1000);
    expect(periodStartAt(schedule, 3880)).toBe(3880);
    expect(periodStartAt(schedule, 999)).toBe(-1880);
  });
});

test('immutable from 60 epochs before the opening to the close', () => {
  const schedule = mainnet(1000);
  // Deadline 10 opens at 1600 and closes at 1660.
  expect([1539, 1540, 1599, 1600, 1659, 1660].map((epoch) => deadlineIsMutable(schedule, 10, epoch))).toEqual([
    true,
    false,
    false,
    false,
    false,
    true,
  ]);
});

test('any period start of the same miner says the same, and the window holds what it should', () => {
  const cases = fc.record({
    challengeWindow: fc.integer({ min: 1, max: 60 }),
    start: fc.nat(10_000),
    periods: fc.integer({ min: -5, max: 5 }),
    deadline: fc.nat(47),
    epoch: fc.integer({ min: 0, max: 100_000 }),
  });
  fc.assert(
    fc.property(cases, ({ challengeWindow, start, periods, deadline, epoch }) => {
      const provingPeriod = 48 * challengeWindow;
      const schedule = { periodStart: start, provingPeriod, challengeWindow };
      const shifted = { ...schedule, periodStart: start + periods * provingPeriod };
      const window = nextWindow(schedule, deadline, epoch);
      expect(nextWindow(shifted, deadline, epoch)).toEqual(window);
      expect(window.close).toBeGreaterThan(epoch);
      expect(window.close - epoch).toBeLessThanOrEqual(provingPeriod);
      expect(deadlineIsMutable(schedule, deadline, epoch)).toBe(epoch < window.open - challengeWindow);
    }),
  );
});
