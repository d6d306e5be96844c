/** The engine's settings from the configuration. */
import { DEFAULTS } from '../scheduler/context.ts';
import type { Settings } from '../scheduler/context.ts';
import type { Config } from './config.ts';

/** What the engine runs on. */
export function settingsOf(config: Config): Settings {
  return {
    network: config.network,
    heartbeatMs: config['scheduler.heartbeat_ms'],
    leaseMs: config['scheduler.lease_ms'],
    pollMs: config['scheduler.poll_ms'],
    graceMs: { PC1: config['scheduler.pc1_grace_ms'] },
    reservationMs: config['scheduler.reservation_ms'],
    retry: {
      firstWaitMs: config['scheduler.retry_first_ms'],
      maxWaitMs: config['scheduler.retry_max_ms'],
      maxRetries: config['scheduler.max_retries'],
    },
    stallMs: DEFAULTS.stallMs,
    maxStrikes: config['scheduler.max_strikes'],
    miners: Object.fromEntries(
      config.miners.map(({ id, seal_proof: sealProof, first_sector: firstSector, last_sector: lastSector, allow_cc: allowCc }) => [
        id,
        { sealProof, firstSector, lastSector, allowCc },
      ]),
    ),
    threads: config.workers.flatMap(({ name, threads, plan, miner, auto, sealing_threads: each }) =>
      (each ?? Array.from({ length: threads }, () => ({ plan, miner, auto }))).map((thread, index) => ({ worker: name, index, ...thread })),
    ),
  };
}
