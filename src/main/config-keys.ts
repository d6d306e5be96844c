/** Every key of the configuration, its type and default. `docs/operating.md` describes them in the same order. */
import { z } from 'zod';
import { MinerId } from '../schema/ids.ts';
import { PlanName } from '../schema/job.ts';
import { SealProof } from '../schema/seal-proof.ts';
import { Network, Stage } from '../schema/stage.ts';
import { DEFAULTS } from '../scheduler/context.ts';

const Miner = z.strictObject({
  id: MinerId,
  seal_proof: SealProof,
  first_sector: z.number().int().nonnegative().default(0),
  last_sector: z
    .number()
    .int()
    .positive()
    .default(2 ** 40),
  /** Seal zeros when no piece waits. */
  allow_cc: z.boolean().default(true),
});

/** What one sealing_thread takes. */
const threadKeys = {
  plan: PlanName.default('sealer'),
  miner: MinerId.nullable().default(null),
  /** Makes its own jobs. */
  auto: z.boolean().default(false),
};

const Worker = z.strictObject({
  name: z
    .string()
    .min(1)
    .max(60)
    .regex(/^[\w.:-]+$/, 'letters, digits and _ . : - only'),
  /** Number of its sealing_threads. */
  threads: z.number().int().min(1).max(1_000).default(1),
  ...threadKeys,
  /** One entry a thread, where they differ; then `threads` and what is said beside it do not count. */
  sealing_threads: z.array(z.strictObject(threadKeys)).min(1).max(1_000).optional(),
});

const Storage = z.strictObject({ id: z.string().min(1).max(60), path: z.string().min(1) });

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
  network: Network.default('dev'),
  log_level: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info'),
  miners: z
    .array(Miner)
    .min(1)
    .default([Miner.parse({ id: 't01000', seal_proof: 'StackedDrg2KiBV1_1' })]),
  workers: z
    .array(Worker)
    .min(1)
    .default([Worker.parse({ name: 'local', sealing_threads: PlanName.options.map((plan) => ({ plan })) })]),
  /** sealpool-prover, or a program that answers alike. */
  prover: text.optional(),

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
  'scheduler.pc1_grace_ms': z.number().int().min(0).default(DEFAULTS.graceMs.PC1),
  'scheduler.reservation_ms': ms(DEFAULTS.reservationMs),
  'scheduler.retry_first_ms': ms(DEFAULTS.retry.firstWaitMs),
  'scheduler.retry_max_ms': ms(DEFAULTS.retry.maxWaitMs),
  'scheduler.max_retries': z.number().int().min(0).default(DEFAULTS.retry.maxRetries),
  'scheduler.max_strikes': z.number().int().min(1).default(DEFAULTS.maxStrikes),

  /** Writes that would leave less free than this are refused, since the database needs room. */
  'objects.min_free_bytes': z
    .number()
    .int()
    .min(0)
    .default(16 * 2 ** 20),

  'runner.name': text.max(60).default('local'),
  'runner.join_token': text.optional(),
  'runner.join_token_file': text.optional(),
  'runner.storage': z.array(Storage).default([]),
  'runner.stages': z.array(Stage).min(1).optional(),
  'runner.slots': z.number().int().min(1).max(64).optional(),

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
