/** Two jobs want one sector: in a third of the stories whose last job takes a sector that exists, in draws of their own. */
import { Rng } from './prng.ts';
import type { Item, When } from './script.ts';

/** The first number that the sealer plan takes. */
const FIRST_SEALED = 1;
/** Where a first job has its last message out. */
const SENDS_IN: Readonly<Record<string, string>> = { sealer: 'ProofSubmitted', snapup: 'Persisted' };

type Asked = { readonly plan: string; readonly item: Item };

/** The last job's item and what is played with it; undefined: it has a sector of its own. */
export function sameSector(
  seed: number,
  [first, ...others]: readonly Asked[],
): { readonly item: Item; readonly more: readonly Item[] } | undefined {
  const rng = Rng.named(seed, 'same sector');
  const item = others.at(-1)?.item;
  if (!rng.chance(33) || first?.item.do !== 'pledge' || item?.do !== 'pledge' || item.sector === undefined) return undefined;
  const sector = first.plan === 'sealer' ? FIRST_SEALED : first.item.sector;
  if (sector === undefined) return undefined;
  const afterMs = rng.between(0, 3_000);
  const sends = SENDS_IN[first.plan];
  const after = (state: string): When => ({ job: 0, state, afterMs });
  const how = rng.weighted([
    [3, 'finished'],
    [4, 'aborted'],
    [2, 'sending'],
    [3, 'at once'],
  ] as const);
  // Before the first has it, both are taken; which of them waits is the engine's to say.
  if (how === 'at once') return { item: { ...item, when: first.item.when, sector }, more: [] };
  if (how === 'finished' || sends === undefined) return { item: { ...item, when: after('Finished'), sector }, more: [] };
  if (how === 'sending') return { item: { ...item, when: after(sends), sector }, more: [] };
  const abort: Item = { when: { job: 0, state: sends, afterMs: rng.between(100, 6_000) }, do: 'abort', job: 0, force: true };
  return { item: { ...item, when: after('Aborted'), sector }, more: [abort] };
}
