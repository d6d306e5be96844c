/** The collector over a listing: pages, sums, and where it goes on after it was broken off. */
import { expect, test } from 'vitest';
import { type CollectorParts, openCollector } from '../../src/effects/collector.ts';
import type { EffectContext } from '../../src/effects/door.ts';
import type { ListedObject, Tx } from '../../src/scheduler/ports.ts';
import type { Judged } from '../../src/schema/garbage.ts';

const KEYS = Array.from({ length: 1_250 }, (_, at) => `jobs/${String(at).padStart(5, '0')}`);

/** A database of small facts, and a store that breaks off after so many keys. */
function scene(breaksAfter = Number.POSITIVE_INFINITY) {
  const facts = new Map<string, string>();
  const tx = {
    meta: (key: string) => facts.get(key),
    setMeta: (key: string, value: string) => void facts.set(key, value),
  } as unknown as Tx;
  const asked: string[] = [];
  const seen: string[] = [];
  const state = { breaksAfter };
  const judge = (_ctx: EffectContext, { objects }: { readonly objects: readonly ListedObject[] }): Judged[] => {
    seen.push(...objects.map(({ key }) => key));
    return objects.map(({ key, sizeBytes }, at) => ({
      what: 'object',
      key,
      sizeBytes,
      sinceMs: 0,
      reason: at % 2 === 0 ? 'probe' : 'unknown',
      job: null,
    }));
  };
  const parts: CollectorParts<EffectContext> = {
    door: { run: async (fn) => fn({ tx, nowMs: 1_000 }) as never },
    objects: {
      async *list(_prefix, after = '') {
        asked.push(after);
        let count = 0;
        for (const key of KEYS.filter((one) => one > after)) {
          if ((count += 1) > state.breaksAfter) throw new Error('the store is away');
          yield { key, sizeBytes: 2, madeMs: 0 };
        }
      },
      async *listUploads() {},
    },
    engine: { judge, collect: judge, collectingHeld: () => false },
    rules: { graceMs: 0, uploadAgeMs: 0 },
  };
  return { collector: openCollector(parts), asked, seen, state };
}

test('sums are of all, lines of the first thousand, and what is unknown is counted in only where it goes', async () => {
  const { collector } = scene();
  const found = await collector({ remove: true, unknown: false });
  expect(found.items).toHaveLength(1_000);
  expect(found).toMatchObject({
    removed: true,
    listed: { count: 1_250, sizeBytes: 2_500 },
    objects: { count: 625, sizeBytes: 1_250 },
    unknown: { count: 625 },
  });
  expect(await collector({ remove: false, unknown: true })).toMatchObject({
    removed: false,
    objects: { count: 1_250 },
    unknown: { count: 625 },
  });
});

test('on schedule it goes on behind the last page that was judged, then begins anew; one that is asked for looks at all', async () => {
  const { collector, asked, seen, state } = scene(500);
  const onSchedule = { remove: true, unknown: false, resume: true };
  await expect(collector(onSchedule)).rejects.toThrow('the store is away');
  expect(seen).toEqual(KEYS.slice(0, 400));
  await expect(collector({ remove: true, unknown: false })).rejects.toThrow('the store is away');
  state.breaksAfter = Number.POSITIVE_INFINITY;
  seen.length = 0;
  expect((await collector(onSchedule)).listed.count).toBe(850);
  expect(seen).toEqual(KEYS.slice(400));
  await collector(onSchedule);
  expect(asked).toEqual(['', '', KEYS[399], '']);
});
