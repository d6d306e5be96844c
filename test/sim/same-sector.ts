/**
 * Two jobs want one sector, in draws of their own: in a third of the stories whose last job takes a sector that exists, and of those with
 * one job that does, which another one joins.
 */
import { Rng } from './prng.ts';
import type { Action, Existing, Item, When } from './script.ts';

/** The first number that the sealer plan takes. */
const FIRST_SEALED = 1;
/** Where a first job has its last message out. */
const SENDS_IN: Readonly<Record<string, string>> = { sealer: 'ProofSubmitted', snapup: 'Persisted' };

type Asked = { readonly plan: string; readonly item: Item };
type Pledge = { readonly when: When } & Extract<Action, { do: 'pledge' }>;

const isPledge = (item: Item | undefined): item is Pledge => item?.do === 'pledge';

/** A job beside one that is alone. */
function another(rng: Rng, when: When, sector: number, { holds }: Existing): Pledge {
  const plan = rng.pick(['rebuild', 'snapup', 'unseal'] as const);
  const data = plan === 'rebuild' && holds !== 'nothing' ? { pieces: 1, ownData: true } : {};
  return { when, do: 'pledge', plan, count: 1, sector, ...(plan === 'snapup' ? { pieces: 1 } : data) };
}

/** The items by which all these jobs are asked for. Where the last one shares the first one's sector, the one that was made for it goes. */
export function sameSector(seed: number, planned: readonly Asked[], sectors: Existing[]): Item[] {
  const rng = Rng.named(seed, 'same sector');
  const all = planned.map(({ item }) => item);
  const [first, plan] = [all[0], planned[0]?.plan ?? ''];
  if (!rng.chance(33) || !isPledge(first)) return all;
  const sector = plan === 'sealer' ? FIRST_SEALED : first.sector;
  const [existing] = sectors;
  if (sector === undefined || existing === undefined) return all;
  const alone = all.length === 1;
  const last = alone ? another(rng, first.when, sector, existing) : all.at(-1);
  if (!isPledge(last) || last.sector === undefined) return all;
  if (!alone) sectors.pop();
  const items = alone ? [first, last] : all;
  const sends = SENDS_IN[plan];
  const how = rng.weighted([
    [3, 'finished'],
    [sends === undefined ? 0 : 3, 'aborted'],
    [sends === undefined ? 0 : 2, 'sending'],
    [2, 'at once'],
  ] as const);
  const [afterMs, giveUpMs, skips] = [rng.between(0, 3_000), rng.between(500, 9_000), rng.chance(75)];
  const asked = (when: When): Item => ({ ...last, when, sector });
  const others = items.slice(1, -1);
  const after = (state: string): Item => asked({ job: 0, state, afterMs });
  switch (how) {
    case 'finished':
      // Nobody waits for its message: it is out when the job has finished.
      return [plan === 'snapup' && skips ? { ...first, skipOnchainCheck: true } : first, ...others, after('Finished')];
    case 'aborted':
      return [
        first,
        ...others,
        { when: { job: 0, state: sends ?? '', afterMs: giveUpMs }, do: 'abort', job: 0, force: true },
        after('Aborted'),
      ];
    case 'sending':
      return [first, ...others, after(sends ?? '')];
    case 'at once':
      // Before the first has it, both are taken; which of them waits is the engine's to say.
      return [first, ...others, asked(first.when)];
  }
}
