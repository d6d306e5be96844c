/** What `sealpool explain` prints: a sentence and a table that a person can read. */
import { expect, test } from 'vitest';
import { explanationText } from '../../src/cli/explanation-text.ts';

const cost = { lacksBytes: 0, transferS: 0, stageS: 480, measured: true, queueS: 1_200, keptS: 6_480, rentUsd: 0, totalUsd: 0.4667 };

test('the runners with what the stage would cost on each, the one it would go to marked', () => {
  const text = explanationText({
    waitsFor: 'runner',
    sentence: 'PC2 waits.',
    candidates: [
      { runner: 'r-1', name: 'gpu-1', fits: true, why: 'it fits and gets the stage when it has a free place', gets: true, cost },
      {
        runner: 'r-2',
        name: 'gpu\u001b[31m-2',
        fits: true,
        why: 'it fits, and another one is expected to be cheaper',
        gets: false,
        cost: { ...cost, measured: false, lacksBytes: 4.47e11, transferS: 3_574, queueS: 0, rentUsd: 0.004, totalUsd: 1.126 },
      },
      { runner: 'r-3', name: 'nas', fits: false, why: 'it has no GPU', gets: false, cost: null },
    ],
  });
  expect(text).toBe(
    `PC2 waits.

   runner            fetch        stage       wait        rent USD  total USD  why
*  gpu-1 (r-1)       0 s          8 min 0 s   20 min 0 s  0         0.47       it fits and gets the stage when it has a free place
   gpu [31m-2 (r-2)  59 min 34 s  ~8 min 0 s  0 s         0.0040    1.13       it fits, and another one is expected to be cheaper
   nas (r-3)         -            -           -           -         -          it has no GPU`,
  );
});

test('without runners the sentence is all', () => {
  expect(explanationText({ waitsFor: 'thread', sentence: 'it waits', candidates: [] })).toBe('it waits');
});
