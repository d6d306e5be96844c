/** How fast this machine reaches the object store: one bounded transfer each way, once and then at long intervals. */
import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { Probe, Resources } from '../schema/runner.ts';
import { checkStatus } from './transfer-errors.ts';

type Speed = NonNullable<Resources['network']>;

/** Whatever a control plane asks for, no transfer is larger. */
const MAX_BYTES = 16 * 2 ** 20;
/** Each way; what is slower is not measured. */
const LIMIT_MS = 30_000;
const INTERVAL_MS = 6 * 3_600_000;
const AFTER_FAILURE_MS = 10 * 60_000;

/** Fetches the probe's object, then puts as many bytes. Rejects when that does not go, or takes too long. */
export async function measureSpeed(probe: Probe, signal: AbortSignal): Promise<Speed> {
  const sizeBytes = Math.min(probe.sizeBytes, MAX_BYTES);
  const down = await perSecond(signal, async (within) => {
    const answer = await fetch(probe.getUrl, { redirect: 'error', signal: within });
    await checkStatus(answer, [200], 'fetching the probe');
    let have = 0;
    for await (const bytes of answer.body ?? []) {
      have += bytes.length;
      if (have >= sizeBytes) break;
    }
    return have;
  });
  // Bytes that no proxy on the way can press together.
  const body = randomBytes(sizeBytes);
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(body));
  const headers = { 'x-amz-checksum-crc32': sum.toString('base64') };
  const up = await perSecond(signal, async (within) => {
    const answer = await fetch(probe.putUrl, { method: 'PUT', body, headers, redirect: 'error', signal: within });
    await checkStatus(answer, [200, 201, 204], 'sending the probe');
    await answer.body?.cancel();
    return sizeBytes;
  });
  return { downBytesPerS: down, upBytesPerS: up, measuredMs: Date.now() };
}

async function perSecond(signal: AbortSignal, transfer: (within: AbortSignal) => Promise<number>): Promise<number> {
  const began = performance.now();
  const bytes = await transfer(AbortSignal.any([signal, AbortSignal.timeout(LIMIT_MS)]));
  return Math.round((bytes * 1000) / Math.max(1, performance.now() - began));
}

/** When to measure, and what came of it. */
export class NetworkWatch {
  #dueMs: number;
  #speed: Speed | undefined;

  /** Not `wanted`: never due. */
  constructor(wanted: boolean) {
    this.#dueMs = wanted ? 0 : Infinity;
  }

  /** Whether it is time; ask only while no stage transfers, since both would be slower for it. */
  get due(): boolean {
    return performance.now() >= this.#dueMs;
  }

  get measured(): Pick<Resources, 'network'> {
    return this.#speed === undefined ? {} : { network: this.#speed };
  }

  /** Measures with what the control plane gives, if it gives something. Never rejects; answers what went wrong, and is due again later. */
  async measure(ask: () => Promise<Probe | undefined>, signal: AbortSignal): Promise<string | undefined> {
    this.#dueMs = performance.now() + AFTER_FAILURE_MS;
    try {
      const probe = await ask();
      if (probe === undefined) return undefined;
      this.#speed = await measureSpeed(probe, signal);
      this.#dueMs = performance.now() + INTERVAL_MS;
      return undefined;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }
}
