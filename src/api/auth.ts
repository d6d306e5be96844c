/** Who asks, and what they may: API tokens with a role and, if wanted, a list of miners; runners by credential. */
import type { Context as Call, MiddlewareHandler } from 'hono';
import type { MinerId, TokenId } from '../schema/ids.ts';
import { SealpoolError } from '../schema/problem.ts';
import type { Context } from '../scheduler/context.ts';
import { audit } from '../scheduler/happened.ts';
import { holderOf, refusedCredential } from '../scheduler/credentials.ts';
import type { RunnerRow } from '../scheduler/ports.ts';
import type { Door } from './door.ts';
import type { ApiParts, Env } from './parts.ts';
import { hashSecret, sameHash, secretKind } from './secrets.ts';
import type { Role } from './views.ts';

/** The holder of an API token. */
export type Principal = {
  readonly token: TokenId;
  /** As events name it: `operator:<name>`. */
  readonly actor: string;
  readonly role: Role;
  /** Null: all miners. */
  readonly miners: readonly MinerId[] | null;
  /** SHA-256 of the secret it came with: the token's, or the one before its last rotation. */
  readonly secretHash: string;
};

const RANK: Readonly<Record<Role, number>> = { viewer: 0, operator: 1, admin: 2 };

const unknownToken = (): SealpoolError =>
  new SealpoolError(
    'unauthorized',
    'unauthorized',
    'the bearer token is missing, unknown or revoked; send `Authorization: Bearer <token>` (the first admin token is in DATA/admin.token)',
  );

const unknownCredential = (): SealpoolError =>
  new SealpoolError(
    'unauthorized',
    'unauthorized',
    'this runner credential is unknown or was revoked; register again with a new join token (sealpool runners token)',
  );

const forbidden = (what: string): SealpoolError => new SealpoolError('forbidden', 'forbidden', what);

/** The secret of the Authorization header. Throws 401. */
export function bearer(header: string | undefined): string {
  const secret = /^Bearer ([\x21-\x7e]{16,200})$/i.exec(header ?? '')?.[1];
  if (secret === undefined) throw unknownToken();
  return secret;
}

/** SHA-256 of the secret that this request came with, which several ask for: computed once. */
export function hashOf(c: Call<Env>, secret: string): string {
  const hash = c.get('secretHash') ?? hashSecret(secret);
  c.set('secretHash', hash);
  return hash;
}

/** Who the secret with this hash is, now. Throws 401; what became of a token is told to whoever has its secret only. */
function principalOf({ tx, nowMs }: Context, hash: string): Principal {
  const row = tx.apiTokenByHash(hash);
  if (row === undefined || row.revokedMs !== null) throw unknownToken();
  const replaced = row.previousHash !== null && sameHash(row.previousHash, hash);
  if (!replaced && !sameHash(row.hash, hash)) throw unknownToken();
  const told = (code: string, what: string): SealpoolError =>
    new SealpoolError('unauthorized', code, `${what}; ask an admin for a new one (sealpool tokens create)`);
  if (row.expiresMs !== null && row.expiresMs <= nowMs)
    throw told('token_expired', `the token ${row.id} expired at ${new Date(row.expiresMs).toISOString()}`);
  if (replaced && (row.previousUntilMs ?? 0) <= nowMs)
    throw told('token_rotated', `the token ${row.id} got a new secret, and the time of this older one is over; send the new one`);
  return { token: row.id, actor: `operator:${row.name}`, role: row.role, miners: row.miners, secretHash: hash };
}

/** Whether the secret that this caller came with is good still: what goes on for long asks again. */
export function holds(ctx: Context, principal: Principal): boolean {
  try {
    return principalOf(ctx, principal.secretHash).token === principal.token;
  } catch {
    return false;
  }
}

/** Appends to the history that this caller did something that no job's or runner's event tells. Names are not unique: the token is named too. */
export function did(ctx: Context, principal: Principal, action: string, detail: Readonly<Record<string, unknown>> = {}): void {
  audit(ctx, principal.actor, action, { by: principal.token, ...detail });
}

/** Lets an API token of at least this role pass. A runner's credential never does. */
export function needs(parts: ApiParts, role: Role): MiddlewareHandler<Env> {
  return async (c, next) => {
    const secret = bearer(c.req.header('authorization'));
    if (secretKind(secret) === 'runner') throw forbidden("a runner's credential reaches /v1/runners/self/ only; use an API token here");
    const hash = hashOf(c, secret);
    const principal = await parts.door.run((ctx) => principalOf(ctx, hash));
    if (RANK[principal.role] < RANK[role]) {
      throw forbidden(
        `this needs a token of the role ${role} and yours is ${principal.role}; ask an admin for one (sealpool tokens create)`,
      );
    }
    c.get('limiter')?.admit(hash, 'token', principal.token);
    c.set('principal', principal);
    return next();
  };
}

/** Refuses tokens that are bound to some miners: the route is about the whole control plane, or another thing that all miners share. */
export function wholeOnly(principal: Principal, what = 'the whole control plane'): void {
  if (principal.miners !== null)
    throw forbidden(`this token is for some miners only and this is about ${what}; use a token for all miners`);
}

/** Whether the token may see things of this miner. */
export function mayMiner(principal: Principal, miner: MinerId): boolean {
  return principal.miners === null || principal.miners.includes(miner);
}

/** The runner with this credential, or with the next one, which is then the credential. Throws 401, also for a banned one. */
export function runnerOf(ctx: Context, hash: string): RunnerRow {
  const holder = holderOf(ctx, hash);
  if (holder === undefined || holder.dead) throw unknownCredential();
  return holder.runner;
}

/** Answers a runner, and looks at who it is that was refused: a credential that was replaced and is used by another process was stolen. */
export async function asRunner<T>(door: Door, hash: string, bootId: string, answer: () => Promise<T>): Promise<T> {
  try {
    return await answer();
  } catch (error) {
    if (error instanceof SealpoolError && error.status === 401) await door.run((ctx) => refusedCredential(ctx, hash, bootId));
    throw error;
  }
}

/**
 * Lets only runners pass, before anything of a body is read. The requests of one that was not seen lately are counted as its own
 * from now on. Handlers check it again in their transaction.
 */
export function needsRunner(parts: ApiParts): MiddlewareHandler<Env> {
  return async (c, next) => {
    const { hash } = runnerCredential(c);
    const limiter = c.get('limiter');
    if (limiter?.knows(hash) !== true) {
      const id = await parts.door.run((ctx) => ctx.tx.runnerByCredential(hash)?.id);
      if (id === undefined) throw unknownCredential();
      // One that is good no more counts as the runner's own as well; the handler refuses it, and looks at who it is.
      limiter?.admit(hash, 'runner', id);
    }
    return next();
  };
}

/** A runner's credential. Throws 401 without one, 403 for an API token. */
export function runnerCredential(c: Call<Env>): { readonly secret: string; readonly hash: string } {
  const secret = bearer(c.req.header('authorization'));
  if (secretKind(secret) === 'api') throw forbidden('this route is for registered runners; an API token does not reach it');
  return { secret, hash: hashOf(c, secret) };
}
