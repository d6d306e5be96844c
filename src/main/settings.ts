/** The engine's settings from the configuration. */
import type { Rates } from '../api/buckets.ts';
import { DEFAULTS } from '../scheduler/context.ts';
import type { LimitSet, Limits, RetrySettings, Settings, ThreadSettings } from '../scheduler/context.ts';
import { SealpoolError } from '../schema/problem.ts';
import type { Config } from './config.ts';

const refuse = (message: string): SealpoolError => new SealpoolError('bad_request', 'configuration', message);

/** What the engine runs on. Throws `configuration` where keys contradict each other. */
export function settingsOf(config: Config): Settings {
  checkTimes(config);
  return {
    network: config.network,
    heartbeatMs: config['scheduler.heartbeat_ms'],
    leaseMs: config['scheduler.lease_ms'],
    pollMs: config['scheduler.poll_ms'],
    graceMs: { ...DEFAULTS.graceMs, ...config['scheduler.grace_ms'] },
    reservationMs: config['scheduler.reservation_ms'],
    retry: {
      firstWaitMs: config['scheduler.retry_first_ms'],
      maxWaitMs: config['scheduler.retry_max_ms'],
      maxRetries: config['scheduler.max_retries'],
    },
    retryOf: retryOf(config),
    limits: limitsOf(config),
    stallMs: DEFAULTS.stallMs,
    progressMs: { ...DEFAULTS.progressMs, ...config['scheduler.progress_ms'] },
    stageMs: { ...DEFAULTS.stageMs, ...config['scheduler.stage_ms'] },
    credentialMs: config['scheduler.credential_ms'],
    maxStrikes: config['scheduler.max_strikes'],
    // What the bucket allows at most binds as well.
    urlTtlMs: Math.min(config['objects.url_ttl_ms'], config['objects.s3.url_ttl_ms']),
    selfTest: config['scheduler.self_test'],
    canaryEveryMs: config['scheduler.canary_every_ms'],
    scrub: { everyMs: config['storage.scrub_every_ms'], bytesPerS: config['storage.scrub_bytes_per_s'] },
    declares: config['storage.declare'] !== 'none',
    waitingUsdPerHour: config['scheduler.waiting_usd_per_hour'],
    patienceMs: config['scheduler.patience_ms'],
    miners: minersOf(config),
    threads: threadsOf(config),
  };
}

/** A lease outlives a heartbeat that is lost, and the first wait is none longer than the longest. */
function checkTimes(config: Config): void {
  const { 'scheduler.heartbeat_ms': heartbeatMs, 'scheduler.lease_ms': leaseMs } = config;
  if (leaseMs < 2 * heartbeatMs)
    throw refuse(
      `scheduler.lease_ms is ${leaseMs} and scheduler.heartbeat_ms ${heartbeatMs}: leases would run out between heartbeats; make scheduler.lease_ms at least ${2 * heartbeatMs}`,
    );
  const { 'scheduler.retry_first_ms': firstMs, 'scheduler.retry_max_ms': maxMs } = config;
  if (firstMs > maxMs)
    throw refuse(
      `scheduler.retry_first_ms is ${firstMs} and scheduler.retry_max_ms ${maxMs}; make scheduler.retry_max_ms the longer of the two`,
    );
  for (const [step, { first_ms: first = firstMs, max_ms: max = maxMs }] of Object.entries(config['scheduler.retry'])) {
    if (first > max)
      throw refuse(
        `scheduler.retry.${step}.first_ms is ${first} and the longest wait ${max}; set first_ms and max_ms there, max_ms no shorter`,
      );
  }
}

/** How often who may ask of the API. */
export function ratesOf(config: Config): Rates {
  const of = (key: 'token' | 'runner' | 'anonymous' | 'failed') => {
    const { per_second: perSecond, burst } = config[`rate_limits.${key}`];
    return { perSecond, burst };
  };
  return { token: of('token'), runner: of('runner'), anonymous: of('anonymous'), failed: of('failed') };
}

function minersOf(config: Config): Settings['miners'] {
  return Object.fromEntries(
    config.miners.map((miner) => [
      miner.id,
      {
        sealProof: miner.seal_proof,
        firstSector: miner.first_sector,
        lastSector: miner.last_sector,
        ranges: miner.ranges,
        allowCc: miner.allow_cc,
        synthetic: miner.synthetic,
        autoFallback: miner.auto_fallback,
        expectedEpochs: miner.expected_epochs,
        priority: miner.priority,
      },
    ]),
  );
}

function threadsOf({ workers, miners }: Config): ThreadSettings[] {
  return workers.flatMap((worker) => {
    const each = worker.sealing_threads ?? Array.from({ length: worker.threads }, () => worker);
    return each.map((thread, index) => {
      if (thread.auto && thread.miner === null && miners.length !== 1) {
        throw refuse(
          `sealing_thread ${index} of worker ${worker.name} is auto without a miner, and ${miners.length} are configured; name its miner`,
        );
      }
      return {
        worker: worker.name,
        index,
        plan: thread.plan,
        miner: thread.miner,
        auto: thread.auto,
        maxRetries: thread.max_retries,
        allowCc: thread.allow_cc,
        maxDeals: thread.max_deals,
        minDeals: thread.min_deals,
        skipOnchainCheck: thread.skip_onchain_check ?? thread.ignore_proof_check,
      };
    });
  });
}

function retryOf(config: Config): Settings['retryOf'] {
  const steps = Object.entries(config['scheduler.retry']).map(([step, given]) => {
    const named: [keyof RetrySettings, number | undefined][] = [
      ['firstWaitMs', given.first_ms],
      ['maxWaitMs', given.max_ms],
      ['maxRetries', given.max_retries],
    ];
    return [step, Object.fromEntries(named.filter(([, value]) => value !== undefined))] as const;
  });
  return Object.fromEntries(steps);
}

/** Undefined when no limit is set: then none costs anything. */
function limitsOf(config: Config): Limits | undefined {
  const all: LimitSet = { concurrent: config['scheduler.concurrent'], staggeredMs: config['scheduler.staggered_ms'] };
  const own = config.workers.flatMap(({ name, concurrent, staggered_ms: staggeredMs }) =>
    concurrent === undefined && staggeredMs === undefined ? [] : [[name, { concurrent, staggeredMs }] as const],
  );
  const none = own.length === 0 && Object.keys({ ...all.concurrent, ...all.staggeredMs }).length === 0;
  return none ? undefined : { all, workers: Object.fromEntries(own) };
}
