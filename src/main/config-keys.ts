/** Every key of the configuration, its type and default. `docs/operating.md` describes them in the same order. */
import { z } from 'zod';
import { MinerId } from '../schema/ids.ts';
import { PlanName } from '../schema/job.ts';
import { StorageId, Weight, bucketOf, isBucket } from '../schema/miner-storage.ts';
import { Processors } from '../schema/processor.ts';
import { SealProof } from '../schema/seal-proof.ts';
import { SelfTestPolicy } from '../schema/self-test.ts';
import { Network, Stage } from '../schema/stage.ts';
import { USUAL_RATES } from '../api/buckets.ts';
import { DEFAULTS } from '../scheduler/context.ts';
import { CANARY_EVERY_MS } from '../scheduler/self-test/tests.ts';

const sector = z.number().int().nonnegative();

/** `"0-999"` or `{ first = 0, last = 999 }`, both ends included. */
const Range = z
  .union([
    z
      .string()
      .regex(/^[0-9]{1,15}-[0-9]{1,15}$/, 'a range is written "0-999"')
      .transform((written) => {
        const [first, last] = written.split('-').map(Number) as [number, number];
        return { first, last };
      }),
    z.strictObject({ first: sector, last: sector }),
  ])
  .refine(({ first, last }) => first <= last, 'a range begins with its lowest number');

const MinerKeys = z.strictObject({
  id: MinerId,
  seal_proof: SealProof,
  first_sector: z.number().int().nonnegative().default(0),
  last_sector: z
    .number()
    .int()
    .positive()
    .default(2 ** 40),
  /** Several ranges of sector numbers, used in this order, instead of first_sector and last_sector. */
  ranges: z.array(Range).min(1).max(100).optional(),
  /** Seal zeros when no piece waits. */
  allow_cc: z.boolean().default(true),
  /** `rented`: a sector of zeros gets synthetic PoRep where a rented runner may do its PC2, which is then free before the pre-commit. */
  synthetic: z.enum(['rented', 'never']).default('rented'),
  /** A sector whose ticket expired goes back for a fresh one by itself, instead of pausing. */
  auto_fallback: z.boolean().default(false),
  /** Epochs that the steps between ticket and pre-commit take here, instead of the usual ones of the sector size. */
  expected_epochs: z.partialRecord(z.enum(['PC1', 'PC2', 'C1', 'Verify', 'SubmitPC']), z.number().int().nonnegative()).optional(),
  /** Hours that its stages are put before those of other miners in the queue; negative: behind them. */
  priority: z.number().int().min(-24).max(24).default(0),
});

const Miner = MinerKeys.superRefine(({ first_sector: first, last_sector: last }, context) => {
  if (first <= last) return;
  const message = `last_sector ${last} is below first_sector ${first}, which leaves no number; give first_sector the lower one`;
  context.addIssue({ code: 'custom', path: ['last_sector'], message });
});

/** No two entries of one miner, `t01000` and `f01000` being one: the later would take the place of the earlier. */
function checkMiners(miners: readonly { readonly id: MinerId }[], context: z.RefinementCtx): void {
  for (const [at, { id }] of miners.entries()) {
    const before = miners.slice(0, at).find((other) => other.id.slice(1) === id.slice(1));
    if (before === undefined) continue;
    const spelt = before.id === id ? '' : `, as ${before.id} before`;
    const message = `miner ${id} stands in the list twice${spelt}; leave one of the two entries out`;
    context.addIssue({ code: 'custom', path: [at, 'id'], message });
  }
}

/** What one sealing_thread takes. */
const threadKeys = {
  plan: PlanName.default('sealer'),
  miner: MinerId.nullable().default(null),
  /** Makes its own jobs: sectors for ever, or snaps while there is data and a sector to take it. */
  auto: z.boolean().default(false),
  /** Instead of scheduler.max_retries. */
  max_retries: z.number().int().min(0).optional(),
  /** Instead of the miner's. */
  allow_cc: z.boolean().optional(),
  /** Most and least waiting pieces that one sector takes. */
  max_deals: z.number().int().min(1).optional(),
  min_deals: z.number().int().min(1).optional(),
  /** Finish without looking whether the last message landed; ignore_proof_check is damocles' name for it. */
  skip_onchain_check: z.boolean().optional(),
  ignore_proof_check: z.boolean().optional(),
};

/** What a thread that makes its own jobs could not know by itself. */
function checkThread(thread: { readonly plan: PlanName; readonly auto: boolean }, context: z.RefinementCtx): void {
  if (!thread.auto || thread.plan === 'sealer' || thread.plan === 'snapup') return;
  const message = `a thread with the ${thread.plan} plan cannot be auto: which sector is meant is for somebody to say`;
  context.addIssue({ code: 'custom', path: ['auto'], message });
}

const Concurrent = z.partialRecord(Stage, z.number().int().nonnegative());
const Staggered = z.partialRecord(Stage, z.number().int().nonnegative());

const Worker = z
  .strictObject({
    name: z
      .string()
      .min(1)
      .max(60)
      .regex(/^[\w.:-]+$/, 'letters, digits and _ . : - only'),
    /** Where users of damocles reached it before (host, or host:port): they may go on naming it so. */
    address: z.string().min(1).max(100).optional(),
    /** Number of its sealing_threads. */
    threads: z.number().int().min(1).max(1_000).default(1),
    ...threadKeys,
    /** One entry a thread, where they differ; then `threads` and what is said beside it do not count. */
    sealing_threads: z.array(z.strictObject(threadKeys).superRefine(checkThread)).min(1).max(1_000).optional(),
    /** Most of a stage at a time for the jobs of this worker, and milliseconds between its starts. */
    concurrent: Concurrent.optional(),
    staggered_ms: Staggered.optional(),
  })
  .superRefine(checkThread);

/** A thread is named by its worker and its place there. */
function checkWorkers(workers: readonly { readonly name: string }[], context: z.RefinementCtx): void {
  for (const [at, { name }] of workers.entries()) {
    if (workers.findIndex((other) => other.name === name) === at) continue;
    const message = `worker ${name} stands in the list twice; give each a name of its own, or say threads = 2 in one entry`;
    context.addIssue({ code: 'custom', path: [at, 'name'], message });
  }
}

/** How to reach a bucket of miner storage. The keys themselves stand in files, so that no argument or environment has them. */
const StorageS3 = z.strictObject({
  endpoint: z.url({ protocol: /^https?$/ }),
  region: z.string().min(1).default('us-east-1'),
  path_style: z.boolean().default(true),
  access_key_file: z.string().min(1),
  secret_key_file: z.string().min(1),
});

/** A path of miner storage, or `s3://BUCKET/PREFIX`; what is left out its sectorstore.json says. */
const Storage = z
  .strictObject({
    id: StorageId,
    path: z.string().min(1),
    weight: Weight.optional(),
    /** Bytes that are kept free. */
    reserve_bytes: z.number().int().min(0).optional(),
    read_only: z.boolean().optional(),
    allow_miners: z.array(MinerId).max(100).optional(),
    deny_miners: z.array(MinerId).max(100).optional(),
    s3: StorageS3.optional(),
    /** Most that a bucket may hold. */
    max_bytes: z.number().int().min(1).optional(),
  })
  .superRefine(({ path, s3, max_bytes }, context) => {
    const refuse = (key: string, message: string): void => context.addIssue({ code: 'custom', path: [key], message });
    if (isBucket(path) && bucketOf(path) === undefined) refuse('path', 'a bucket is written s3://NAME or s3://NAME/PREFIX, of plain names');
    if (isBucket(path) && s3 === undefined)
      refuse('s3', 'a bucket needs s3 = { endpoint, access_key_file, secret_key_file } beside its path');
    if (!isBucket(path) && s3 !== undefined) refuse('path', 's3 goes with a path that begins with s3://');
    if (!isBucket(path) && max_bytes !== undefined)
      refuse('max_bytes', 'it limits a bucket; a folder is limited by MaxStorage in its sectorstore.json');
  });

/** Requests a second on the long run, and at once. */
const rate = (usual: { readonly perSecond: number; readonly burst: number }) =>
  z
    .strictObject({ per_second: z.number().positive().max(1e9), burst: z.number().int().min(1).max(1e9) })
    .default({ per_second: usual.perSecond, burst: usual.burst });

const ms = (usual: number) => z.number().int().min(1).default(usual);
const text = z.string().min(1);

/** Dotted names as in the TOML file; in the environment `SEALPOOL_` and the name in capitals, dots as underscores. */
export const KEYS = {
  /** This file; only sensible in the environment or as --config. */
  config: text.optional(),
  /** Folder of database, objects, tokens and logs. */
  data: text.default('./sealpool-data'),
  listen: text.default('127.0.0.1'),
  /** 0: any free port. */
  port: z.number().int().min(0).max(65_535).default(5230),
  /** How runners and clients reach the control plane, where that is not listen and port. */
  public_url: z.url().optional(),
  /** Proxies whose X-Forwarded-For is believed: addresses or networks. */
  trusted_proxies: z.array(text).max(100).default([]),
  network: Network.default('dev'),
  log_level: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info'),
  miners: z
    .array(Miner)
    .min(1)
    .superRefine(checkMiners)
    .default([Miner.parse({ id: 't01000', seal_proof: 'StackedDrg2KiBV1_1' })]),
  workers: z
    .array(Worker)
    .min(1)
    .superRefine(checkWorkers)
    .default([Worker.parse({ name: 'local', sealing_threads: PlanName.options.map((plan) => ({ plan })) })]),
  /** sealpool-prover, or a program that answers alike. */
  prover: text.optional(),
  /** What `/runner.sh` hands out besides: the agent in one file, and the runner image for hosts without Node. */
  agent: text.optional(),
  runner_image: text.optional(),

  /** For the command line: which control plane, and with which token. */
  url: z.url().optional(),
  token: text.optional(),
  token_file: text.optional(),

  'chain.url': z.url().optional(),
  'chain.token': text.optional(),
  'chain.token_file': text.optional(),
  'chain.timeout_ms': ms(30_000),
  /** Signs for all miners instead of their workers. */
  'chain.sender': text.optional(),

  'scheduler.heartbeat_ms': ms(DEFAULTS.heartbeatMs),
  'scheduler.lease_ms': ms(DEFAULTS.leaseMs),
  'scheduler.poll_ms': ms(DEFAULTS.pollMs),
  /** Added to the lease of a stage, where that is not the usual. */
  'scheduler.grace_ms': z.partialRecord(Stage, z.number().int().min(0)).default({}),
  'scheduler.reservation_ms': ms(DEFAULTS.reservationMs),
  'scheduler.retry_first_ms': ms(DEFAULTS.retry.firstWaitMs),
  'scheduler.retry_max_ms': ms(DEFAULTS.retry.maxWaitMs),
  'scheduler.max_retries': z.number().int().min(0).default(DEFAULTS.retry.maxRetries),
  /** What differs for a stage, or for the step that sends a message. */
  'scheduler.retry': z
    .partialRecord(
      z.enum([...Stage.options, 'SubmitPC', 'SubmitProof', 'SubmitUpdate']),
      z.strictObject({
        first_ms: z.number().int().min(1).optional(),
        max_ms: z.number().int().min(1).optional(),
        max_retries: z.number().int().min(0).optional(),
      }),
    )
    .default({}),
  /** Most of a stage at a time, and milliseconds between its starts, of all workers together. */
  'scheduler.concurrent': Concurrent.default({}),
  'scheduler.staggered_ms': Staggered.default({}),
  /** How long a stage may show no progress, and how long it may take in all, where that is not the usual. */
  'scheduler.progress_ms': z.partialRecord(Stage, z.number().int().min(1)).default({}),
  'scheduler.stage_ms': z.partialRecord(Stage, z.number().int().min(1)).default({}),
  /** Age at which a runner's credential is replaced. */
  'scheduler.credential_ms': ms(DEFAULTS.credentialMs),
  'scheduler.max_strikes': z.number().int().min(1).default(DEFAULTS.maxStrikes),
  /** Which runners get a stage only once they passed a self-test of it, and how often an idle one is tested again. */
  'scheduler.self_test': SelfTestPolicy.default('rented'),
  'scheduler.canary_every_ms': ms(CANARY_EVERY_MS),
  /** What an hour until a stage has ended is worth beside rent, and the longest that a stage is left to a better runner. */
  'scheduler.waiting_usd_per_hour': z.number().min(0).max(10_000).default(DEFAULTS.waitingUsdPerHour),
  'scheduler.patience_ms': z
    .number()
    .int()
    .min(0)
    .max(7 * 24 * 3_600_000)
    .default(DEFAULTS.patienceMs),

  /** Writes that would leave less free than this are refused, since the database needs room. */
  'objects.min_free_bytes': z
    .number()
    .int()
    .min(0)
    .default(16 * 2 ** 20),
  /** How long the URLs of an attempt are good for; new ones come with heartbeats. */
  'objects.url_ttl_ms': ms(DEFAULTS.urlTtlMs),
  /** Set: objects are kept in a bucket there, and not in the data folder. */
  'objects.s3.endpoint': z.url({ protocol: /^https?$/ }).optional(),
  'objects.s3.bucket': z
    .string()
    .regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'not the name of a bucket')
    .optional(),
  'objects.s3.region': text.default('us-east-1'),
  /** What the names of all objects begin with, for a bucket that others use too. */
  'objects.s3.prefix': z
    .string()
    .regex(/^(?:[A-Za-z0-9][A-Za-z0-9_-]{0,63}(?:\/[A-Za-z0-9][A-Za-z0-9_-]{0,63}){0,7}\/?)?$/, 'plain names joined by "/"')
    .default(''),
  'objects.s3.access_key': text.optional(),
  'objects.s3.access_key_file': text.optional(),
  'objects.s3.secret_key': text.optional(),
  'objects.s3.secret_key_file': text.optional(),
  /** `https://host/bucket/…` and not `https://bucket.host/…`. */
  'objects.s3.path_style': z.boolean().default(true),
  /** The longest that a signed URL is good for; S3 knows seven days at most. */
  'objects.s3.url_ttl_ms': z
    .number()
    .int()
    .min(60_000)
    .max(7 * 24 * 3_600_000)
    .default(24 * 3_600_000),

  /** Who is told where a sector's stored files are, before its Window PoSt: `lotus`, a command, or nobody. */
  'storage.declare': z.enum(['none', 'lotus', 'command', 'damocles']).default('none'),
  /** lotus-miner's API, and a file with a token of its permission admin. */
  'storage.lotus.url': z.url({ protocol: /^https?$/ }).optional(),
  'storage.lotus.token_file': text.optional(),
  /** Program and arguments; it gets JSON on its standard input. */
  'storage.command': z.array(z.string()).min(1).max(50).optional(),
  'storage.command_timeout_ms': ms(60_000),
  /** How often stored files are read against their hashes, and how many bytes a second of each path. */
  'storage.scrub_every_ms': ms(30 * 24 * 3_600_000),
  'storage.scrub_bytes_per_s': z.number().int().min(1).default(20_000_000),
  /** How often object storage is looked through for what no job needs; 0: never by itself. */
  'gc.every_ms': z
    .number()
    .int()
    .min(0)
    .default(6 * 3_600_000),
  /** Younger objects stay whatever they are. */
  'gc.grace_ms': z.number().int().min(0).default(3_600_000),
  /** Uploads that nobody finished go at this age. */
  'gc.upload_age_ms': ms(24 * 3_600_000),

  /** How often one API token, one runner, and one address without a secret may ask; how many wrong secrets an address may send. */
  'rate_limits.token': rate(USUAL_RATES.token),
  'rate_limits.runner': rate(USUAL_RATES.runner),
  'rate_limits.anonymous': rate(USUAL_RATES.anonymous),
  'rate_limits.failed': rate(USUAL_RATES.failed),

  'runner.name': text.max(60).default('local'),
  'runner.join_token': text.optional(),
  'runner.join_token_file': text.optional(),
  'runner.storage': z.array(Storage).default([]),
  /** Most MiB a second that moves and checks of stored files read and write of each of its paths; without it as fast as the disk does. */
  'runner.storage_mib_per_s': z.number().positive().max(1_000_000).optional(),
  'runner.stages': z.array(Stage).min(1).optional(),
  'runner.slots': z.number().int().min(1).max(64).optional(),
  /** Most of the disk for artifacts that later stages on this machine may need; half of what is free without it, 0: none. */
  'runner.cache_bytes': z.number().int().min(0).optional(),
  /** External processors by stage, and their locks; in the words of damocles-worker's `[processors]`. */
  'runner.processors': Processors.optional(),

  /** How stages run (auto: in containers where there is an image and an engine), and what one may use. */
  'runner.executor': z.enum(['auto', 'process', 'container']).default('auto'),
  'runner.user': text.optional(),
  'runner.stage_memory_bytes': z
    .number()
    .int()
    .min(2 ** 23)
    .optional(),
  'runner.stage_processes': z.number().int().min(8).max(4_194_304).default(16_384),
  'runner.stage_work_bytes': z.number().int().min(1).optional(),
  'runner.container_socket': text.optional(),
  /** `NAME@sha256:…`, or `sha256:…` of one that was loaded. */
  'runner.container_image': text.optional(),
  'runner.container_archive': text.optional(),
  'runner.container_cpus': z.number().positive().optional(),
  'runner.container_cpuset': z
    .string()
    .regex(/^[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*$/, 'cores are written "0-3,8"')
    .optional(),
  'runner.container_gpus': z.union([z.literal('all'), z.array(z.number().int().nonnegative()).max(64)]).optional(),
  /** Which of its files whatever started the runner replaces; then it ends with a code of its own to be started anew. */
  'runner.upgrades': z.enum(['none', 'agent', 'all']).optional(),
  /** Measure the way to the object store. */
  'runner.measure_network': z.boolean().default(false),

  'devnet.port': z.number().int().min(0).max(65_535).default(0),
  'devnet.epoch_ms': ms(200),
  'devnet.challenge_delay_epochs': z.number().int().min(1).default(10),
  'devnet.accept_replay': z.boolean().default(false),
  'devnet.genesis_seed': z
    .string()
    .regex(/^[0-9a-f]{2,128}$/)
    .optional(),
} as const satisfies Readonly<Record<string, z.ZodType>>;

export type KeyName = keyof typeof KEYS;
/** The whole configuration by dotted name. */
export type Config = { readonly [K in KeyName]: z.infer<(typeof KEYS)[K]> };
