/**
 * Whose fault a failed transfer is. Where transfers of several runners fail, and none got through since, the object store or the way
 * to it is ill: a strike for each would shut the whole fleet out, with all that runs there. A result that came through clears it.
 */
import type { Context } from './context.ts';
import type { RunnerRow } from './ports.ts';

const FAILING = 'transfers_failing';
/** Failures further apart have nothing to do with each other. */
const TOGETHER_MS = 10 * 60_000;

type Failing = Readonly<Record<string, number>>;

const failing = (ctx: Context): Failing => JSON.parse(ctx.tx.meta(FAILING) ?? '{}') as Failing;

/** A transfer of this runner failed; true: others' do as well, so it is not struck for it. */
export function failsWithOthers(ctx: Context, { id }: RunnerRow): boolean {
  const lately = Object.entries(failing(ctx)).filter(([, atMs]) => ctx.nowMs - atMs < TOGETHER_MS);
  ctx.tx.setMeta(FAILING, JSON.stringify({ ...Object.fromEntries(lately), [id]: ctx.nowMs }));
  return lately.some(([other]) => other !== id);
}

/** A runner fetched and sent all files of a stage. */
export function transferWorked(ctx: Context): void {
  if (Object.keys(failing(ctx)).length > 0) ctx.tx.setMeta(FAILING, '{}');
}
