/** The network between a runner and its control plane: it may lose the way there or back, double and delay calls, or be cut. */
import type { ControlPlane } from './control-plane.ts';
import type { FakeRunner } from './fake-runner.ts';
import { never } from './faults.ts';
import type { RunnerParts } from './runner-parts.ts';

/**
 * What was on its way when its process died, or got another credential, comes within so long, or never. A dead one's first word never
 * does: who hears of a process only when the next one has spoken takes that for the earlier one, and has to find two alive.
 */
const LATE_MS = 15_000;
/** An agent gives a call up after this. */
const TIMEOUT_MS = { 'net.next': 10_000, 'net.heartbeat': 5_000 } as const;

/** One call of a process. A dead one makes none. */
export async function callOver<T>(
  { clock, rng, faults, id, disk, told, plane }: RunnerParts,
  runner: FakeRunner,
  port: 'net.next' | 'net.heartbeat',
  credential: string,
  ask: (plane: ControlPlane) => Promise<T>,
): Promise<T> {
  const cut = (): boolean => runner.cutUntilMs > clock.nowMs;
  const sentMs = clock.nowMs;
  const outdated = (): boolean => disk.credential !== credential && clock.nowMs - sentMs > LATE_MS;
  const tooLate = (): boolean => outdated() || clock.nowMs - runner.diedMs > (runner.heard ? LATE_MS : 0);
  const lost = (): Error => new Error('the network lost it');
  await runner.thaw();
  await clock.sleep(rng.between(2, 60));
  if (!runner.alive) return never();
  const fault = faults.take(port);
  if (cut()) {
    await clock.sleep(TIMEOUT_MS[port]);
    throw lost();
  }
  if (fault?.how === 'delay') await clock.sleep(fault.ms);
  if (tooLate()) return never();
  const make = async (there: ControlPlane): Promise<T> => {
    const word = { runner: id, bootId: runner.bootId, credential, atMs: clock.nowMs };
    try {
      runner.heard = true;
      told().comes(word);
      const answer = await ask(there);
      told().spoke(word);
      return answer;
    } catch (error) {
      if ((error as { code?: unknown }).code === 'unauthorized') told().refused(word);
      throw error;
    }
  };
  const found = plane();
  if (fault?.how === 'error' || found === undefined) throw lost();
  if (fault?.how === 'twice')
    void clock.sleep(rng.between(1, 30_000)).then(() => {
      const later = plane();
      if (later !== undefined && !tooLate()) make(later).catch(() => undefined);
    });
  const answer = await make(found);
  await clock.sleep(rng.between(2, 60));
  if (fault?.how === 'lost' || cut()) {
    const { credential: next } = answer as { readonly credential?: string };
    if (next !== undefined) told().trouble('an answer with the next credential is lost');
    throw lost();
  }
  await runner.thaw();
  return answer;
}
