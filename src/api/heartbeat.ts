/** A runner's heartbeat: its leases, what to stop, its next credential once that is due, and the URLs that it asks for. */
import { nextCredential } from '../scheduler/credentials.ts';
import { heartbeat } from '../scheduler/fleet.ts';
import { renewalsOf } from '../scheduler/renewals.ts';
import type { HeartbeatAnswer, HeartbeatRequest } from '../schema/runner.ts';
import { asRunner, runnerOf } from './auth.ts';
import type { Door } from './door.ts';
import { secretAfter } from './secrets.ts';
import { type UrlParts, withRenewed } from './urls.ts';

/** Answers whoever came with this credential. Throws 401 for one that is unknown or was revoked. */
export async function answerHeartbeat(
  parts: UrlParts,
  door: Door,
  { secret, hash }: { readonly secret: string; readonly hash: string },
  request: HeartbeatRequest,
): Promise<HeartbeatAnswer> {
  const answer = async (): Promise<HeartbeatAnswer> => {
    const { beat, wishes } = await door.run((ctx) => {
      const runner = runnerOf(ctx, hash);
      const kept = heartbeat(ctx, runner, request);
      const credential = nextCredential(ctx, runner.id, request.bootId, (seed) => secretAfter(secret, 'runner', seed));
      const wanted = renewalsOf(ctx, runner.id, request);
      return { beat: credential === undefined ? kept : { ...kept, credential }, wishes: wanted };
    });
    return withRenewed(parts, beat, wishes);
  };
  return asRunner(door, hash, request.bootId, answer);
}
