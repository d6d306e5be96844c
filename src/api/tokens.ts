/** What is done to API tokens, in the transaction of the context. Secrets leave through the answer only. */
import type { TokenId } from '../schema/ids.ts';
import { SealpoolError } from '../schema/problem.ts';
import type { Context } from '../scheduler/context.ts';
import type { ApiTokenRow } from '../scheduler/ports.ts';
import { type Principal, did } from './auth.ts';
import { notFound } from './problems.ts';
import { tokenView } from './routes/shown.ts';
import { newSecret, sameHash } from './secrets.ts';
import type { NewToken, TokenView } from './views.ts';

const conflict = (code: string, message: string): SealpoolError => new SealpoolError('conflict', code, message);

export type NewApiToken = Pick<ApiTokenRow, 'name' | 'role' | 'miners'> & { readonly expiresMs?: number | null };

/** Makes a token. Throws 400 where it would have expired already. */
export function createApiToken(ctx: Context, given: NewApiToken): NewToken {
  if (given.expiresMs !== undefined && given.expiresMs !== null && given.expiresMs <= ctx.nowMs)
    throw new SealpoolError('bad_request', 'expired_already', 'expiresMs lies in the past; give a time to come, or ttlMs');
  const { secret, hash } = newSecret(ctx.ids, 'api');
  const row: ApiTokenRow = {
    id: ctx.ids.next('t') as ApiTokenRow['id'],
    hash,
    ...given,
    createdMs: ctx.nowMs,
    revokedMs: null,
    expiresMs: given.expiresMs ?? null,
    previousHash: null,
    previousUntilMs: null,
  };
  ctx.tx.insertApiToken(row);
  return { ...tokenView(row), token: secret };
}

function tokenOrRefuse(ctx: Context, id: TokenId): ApiTokenRow {
  const row = ctx.tx.apiTokens().find((token) => token.id === id);
  if (row === undefined) throw notFound(`token ${id}`);
  return row;
}

/** Ends a token with both its secrets, at once. The last admin that does not expire stays. */
export function revokeApiToken(ctx: Context, id: TokenId, principal: Principal): TokenView {
  const row = tokenOrRefuse(ctx, id);
  if (row.revokedMs !== null) throw conflict('revoked_already', `token ${id} was revoked before; there is nothing to do`);
  const others = ctx.tx
    .apiTokens()
    .some((one) => one.id !== id && one.role === 'admin' && one.miners === null && one.revokedMs === null && one.expiresMs === null);
  if (row.role === 'admin' && !others)
    throw conflict('last_admin', `token ${id} is the last admin token that does not expire; create another one first`);
  const revoked: ApiTokenRow = { ...row, revokedMs: ctx.nowMs, previousHash: null, previousUntilMs: null };
  ctx.tx.updateApiToken(revoked);
  did(ctx, principal, 'token.revoked', { token: id, name: row.name });
  return tokenView(revoked);
}

/**
 * Gives the token a new secret; the older one is good for `graceMs` more. When its holder asks with the older secret,
 * the answer with the newer one was lost: that one ends, and the older one goes on.
 */
export function rotateApiToken(ctx: Context, id: TokenId, graceMs: number, principal: Principal): NewToken {
  const row = tokenOrRefuse(ctx, id);
  if (row.revokedMs !== null) throw conflict('revoked_already', `token ${id} was revoked; create another one (sealpool tokens create)`);
  if (row.expiresMs !== null && row.expiresMs <= ctx.nowMs)
    throw conflict('token_expired', `token ${id} has expired; create another one (sealpool tokens create)`);
  const { secret, hash } = newSecret(ctx.ids, 'api');
  const lost = row.previousHash !== null && sameHash(row.previousHash, principal.secretHash);
  const older = lost ? row.previousHash : row.hash;
  const rotated: ApiTokenRow = {
    ...row,
    hash,
    previousHash: graceMs === 0 ? null : older,
    previousUntilMs: graceMs === 0 ? null : ctx.nowMs + graceMs,
  };
  ctx.tx.updateApiToken(rotated);
  did(ctx, principal, 'token.rotated', { token: id, name: row.name, previousUntilMs: rotated.previousUntilMs });
  return { ...tokenView(rotated), token: secret };
}
