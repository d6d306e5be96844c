/**
 * Credentials of runners and their replacement. The next one is made from the present one and a random seed, so an answer that
 * was lost is given again as it was, and the database, which has hashes and the seed only, could not make it. The present one is
 * good until the next is first used; then it is dead, and whoever still comes with it has stolen it.
 */
import type { RunnerId } from '../schema/ids.ts';
import type { Context } from './context.ts';
import { quarantine } from './fleet.ts';
import type { RunnerRow } from './ports.ts';

/** Makes the next credential of a seed and the present credential. */
export type MakeCredential = (seed: string) => { readonly secret: string; readonly hash: string };

/** Random bytes in a seed. */
const SEED_BYTES = 16;

/** What the holder of the credential with this hash is: its runner, whose it was before, or nobody. */
export function holderOf(ctx: Context, hash: string): { readonly runner: RunnerRow; readonly dead: boolean } | undefined {
  const runner = ctx.tx.runnerByCredential(hash);
  if (runner === undefined) return undefined;
  if (runner.credentialHash === hash) return { runner, dead: runner.status === 'banned' };
  if (runner.status === 'banned' || runner.nextCredentialHash !== hash) return { runner, dead: true };
  return { runner: promote(ctx, runner, hash), dead: false };
}

/** The next credential was used for the first time: it is the credential from now on. */
function promote(ctx: Context, runner: RunnerRow, hash: string): RunnerRow {
  const promoted: RunnerRow = {
    ...runner,
    credentialHash: hash,
    credentialMs: ctx.nowMs,
    nextCredentialSeed: null,
    nextCredentialHash: null,
    previousCredentialHash: runner.credentialHash,
  };
  ctx.tx.updateRunner(promoted);
  return promoted;
}

/**
 * The next credential for whoever came with the present one, once that is old enough; undefined before. It is prepared long before
 * it is given, so that a backup of the database knows it.
 */
export function nextCredential(ctx: Context, id: RunnerId, bootId: string, make: MakeCredential): string | undefined {
  const { credentialMs } = ctx.settings;
  const runner = ctx.tx.runner(id);
  // Not for an earlier process, nor for a thief while it is undecided who that is.
  if (credentialMs === undefined || runner?.bootId !== bootId || runner.status === 'quarantined') return undefined;
  const seed = runner.nextCredentialSeed ?? ctx.ids.hex(SEED_BYTES);
  const due = ctx.nowMs - (runner.credentialMs ?? runner.registeredMs) >= credentialMs;
  if (runner.nextCredentialHash !== null && !due) return undefined;
  const { secret, hash } = make(seed);
  if (runner.nextCredentialHash === null) ctx.tx.updateRunner({ ...runner, nextCredentialSeed: seed, nextCredentialHash: hash });
  return due ? secret : undefined;
}

/**
 * Somebody came with a credential that is no good. A call of the runner's own process that was under way while it took the next one
 * is no matter; any other process that comes with the one before, more than a lease after, has stolen it, or was stolen from.
 */
export function refusedCredential(ctx: Context, hash: string, bootId: string): void {
  const runner = ctx.tx.runnerByCredential(hash);
  if (runner?.previousCredentialHash !== hash || runner.bootId === bootId) return;
  if (ctx.nowMs - (runner.credentialMs ?? runner.registeredMs) <= ctx.settings.leaseMs) return;
  quarantine(ctx, runner, 'a process came with the credential that was replaced, so two have it; ban it and register the machine anew');
}
