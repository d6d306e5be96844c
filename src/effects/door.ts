/** What effects need of the engine, and nothing more: so that they are tested without it. */
import type { EffectId } from '../schema/ids.ts';
import type { EffectOutcome, SignedMessage } from '../scheduler/effects.ts';
import type { Tx } from '../scheduler/ports.ts';

/** The part of a transaction's context that is read here. */
export type EffectContext = { readonly tx: Tx; readonly nowMs: number };

/** Commits, and tells when the outbox changed. */
export type EffectDoor<C extends EffectContext> = {
  /** Runs `fn` in a transaction; resolves when it is durable. */
  run<T>(fn: (ctx: C) => T extends PromiseLike<unknown> ? never : T): Promise<T>;
  /** Resolves at the next change of the outbox, or when `abort` fires. */
  changed(signal: 'effects', abort: AbortSignal): Promise<void>;
};

/** The engine's two functions about effects. */
export type EffectEngine<C extends EffectContext> = {
  /** Stores signed bytes; false: the effect was withdrawn, the bytes must not be pushed. */
  effectSigned(ctx: C, id: EffectId, signed: SignedMessage): boolean;
  /** Records what came of it and decides on the next try. */
  effectDone(ctx: C, id: EffectId, outcome: EffectOutcome): void;
};

/** A transaction failed: nothing is known about the chain, and nothing may be sent on the strength of it. */
export class NotRecorded extends Error {
  constructor(cause: unknown) {
    super(`the database took no change (${cause instanceof Error ? cause.message : String(cause)}); the effect is performed again`, {
      cause,
    });
    this.name = 'NotRecorded';
  }
}

/** A door whose failures can be told from those of the chain. */
export function recording<C extends EffectContext>(door: EffectDoor<C>): EffectDoor<C>['run'] {
  return (fn) =>
    door.run(fn).catch((error: unknown) => {
      throw new NotRecorded(error);
    });
}
