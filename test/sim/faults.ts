/** Faults waiting for the next call of a port, and the wrapper that every call of the outside goes through. */
import { ChainError } from '../../src/chain/errors.ts';
import { SealpoolError } from '../../src/schema/problem.ts';
import type { VirtualClock } from './clock.ts';
import type { Rng } from './prng.ts';
import type { Fault, Port, PortFault } from './script.ts';

type Armed = { readonly port: Port; readonly how: PortFault; left: number; readonly ms: number };

/** Never resolves: what a call of a dead process comes to. */
export const never = <T>(): Promise<T> => new Promise<T>(() => undefined);

/** How the coverage table counts it. */
function faultOf(port: Port, how: PortFault): Fault {
  if (how === 'crash_before' || how === 'crash_after' || how === 'io_error') return 'crash';
  if (how === 'full') return 'disk_full';
  if (port.startsWith('net.')) return 'network';
  if (port.startsWith('webhook.')) return 'receiver';
  if (port.startsWith('wake.')) return 'wake_up';
  if (port.startsWith('declare.')) return 'declare';
  if (port.startsWith('objects.')) return 'object_error';
  return how === 'permanent' ? 'chain_refuses' : how === 'stale' ? 'chain_lags' : 'chain_error';
}

/** The armed faults of a world. */
export class Faults {
  #armed: Armed[] = [];
  /** Told what struck, for the coverage table and the timeline. */
  onStrike: (fault: Fault, what: string) => void = () => undefined;

  arm(fault: { port: Port; how: PortFault; count: number; ms: number }): void {
    this.#armed.push({ port: fault.port, how: fault.how, left: fault.count, ms: fault.ms });
  }

  take(port: Port): Armed | undefined {
    // What follows the head asks all the time: only faults of its own are meant for it.
    const any = port === 'chain.head' ? port : `${port.slice(0, port.indexOf('.'))}.*`;
    const found = this.#armed.find((fault) => fault.port === port || fault.port === any);
    if (found === undefined) return undefined;
    found.left -= 1;
    if (found.left <= 0) this.#armed.splice(this.#armed.indexOf(found), 1);
    this.onStrike(faultOf(port, found.how), `${port} ${found.how}`);
    return found;
  }

  clear(): void {
    this.#armed = [];
  }
}

/** What a process has around it: whether it lives, and how it dies. */
export type Life = { readonly dead: boolean; crash(): void };

const LEAST_LATENCY_MS = 1;
const MOST_LATENCY_MS = 40;

/** Wraps one call. `lag` is set around it when a node that lags is to answer. */
export function faulty(parts: { clock: VirtualClock; rng: Rng; faults: Faults; life: Life }) {
  const { clock, rng, faults, life } = parts;

  function thrown(port: Port, how: 'error' | 'permanent'): Error {
    if (port.startsWith('objects.')) {
      return how === 'error'
        ? new SealpoolError('unavailable', 'object_store', 'the object store is away; it is tried again')
        : new SealpoolError('storage_full', 'storage_full', 'the disk of the object store is full');
    }
    if (port.startsWith('declare.')) {
      return how === 'error'
        ? new SealpoolError('unavailable', 'poster_away', 'whoever does Window PoSt does not answer')
        : new SealpoolError('conflict', 'poster_refuses', 'whoever does Window PoSt refuses');
    }
    return new ChainError(
      how === 'error' ? 'temporary' : 'permanent',
      how === 'error' ? 'rpc_unreachable' : 'actor_exit',
      `${port} failed (${how})`,
    );
  }

  return async function call<T>(port: Port, work: (lag: number) => Promise<T>): Promise<T> {
    if (life.dead) return never();
    const fault = faults.take(port);
    if (fault?.how === 'crash_before') {
      life.crash();
      return never();
    }
    await clock.sleep(rng.between(LEAST_LATENCY_MS, MOST_LATENCY_MS) + (fault?.how === 'delay' ? fault.ms : 0));
    if (life.dead) return never();
    if (fault?.how === 'error' || fault?.how === 'permanent') throw thrown(port, fault.how);
    if (fault?.how === 'twice') await work(0).catch(() => undefined);
    const outcome = await work(fault?.how === 'stale' ? 8 : 0).then(
      (value) => ({ ok: true as const, value }),
      (error: unknown) => ({ ok: false as const, error }),
    );
    if (fault?.how === 'crash_after') {
      life.crash();
      return never();
    }
    await clock.sleep(rng.between(LEAST_LATENCY_MS, MOST_LATENCY_MS));
    if (life.dead) return never();
    if (fault?.how === 'lost') throw thrown(port, 'error');
    if (!outcome.ok) throw outcome.error;
    return outcome.value;
  };
}
