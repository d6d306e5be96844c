/** A runner's heartbeat: its leases, what to stop, and its next credential once that is due. */
import { nextCredential } from '../scheduler/credentials.ts';
import { heartbeat } from '../scheduler/fleet.ts';
import type { RunnerRow } from '../scheduler/ports.ts';
import type { HeartbeatAnswer, HeartbeatRequest } from '../schema/runner.ts';
import { asRunner, runnerOf } from './auth.ts';
import type { Door } from './door.ts';
import { hashSecret, secretAfter } from './secrets.ts';

/** Answers whoever came with this credential. Throws 401 for one that is unknown or was revoked. */
export async function answerHeartbeat(door: Door, secret: string, request: HeartbeatRequest): Promise<HeartbeatAnswer> {
  const hash = hashSecret(secret);
  const answer = (): Promise<HeartbeatAnswer> =>
    door.run((ctx) => {
      const { id } = runnerOf(ctx, hash);
      const beat = heartbeat(ctx, ctx.tx.runner(id) as RunnerRow, request);
      const credential = nextCredential(ctx, id, request.bootId, (seed) => secretAfter(secret, 'runner', seed));
      return credential === undefined ? beat : { ...beat, credential };
    });
  return asRunner(door, hash, request.bootId, answer);
}
