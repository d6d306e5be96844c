/** External processors: programs that do a stage instead of the prover, in the words of damocles-worker's `[processors]` tables. */
import { z } from 'zod';

/**
 * Stages that damocles has tasks for. Its `snap_encode` is not among them: that task leaves the update's vanilla
 * proofs to the worker, and of ours only sealpool-prover makes them.
 */
export const ProcessorStage = z.enum(['add_pieces', 'tree_d', 'pc1', 'pc2', 'c2', 'snap_prove']);
export type ProcessorStage = z.infer<typeof ProcessorStage>;

const UNIT_MS = { ms: 1, s: 1_000, sec: 1_000, m: 60_000, min: 60_000, h: 3_600_000 } as const;
/** Longer than any stage; timers cannot count much further. */
const MAX_MS = 7 * 24 * 3_600_000;

/** `"5s"`, `"2min"`, or milliseconds. */
const Duration = z
  .union([
    z.number().int(),
    z
      .string()
      .regex(/^[0-9]{1,9} ?(?:ms|s|sec|m|min|h)$/, 'a time is written "5s", "2min" or "500ms"')
      .transform((text) => {
        const unit = text.replace(/^[0-9]+ ?/, '') as keyof typeof UNIT_MS;
        return Number.parseInt(text, 10) * UNIT_MS[unit];
      }),
  ])
  .refine((ms) => ms >= 1 && ms <= MAX_MS, 'a time is from 1 ms to 7 days');

const Name = z.string().min(1).max(60);

/** One processor: a process that stays and gets request after request. */
export const Processor = z.strictObject({
  /** Only on runners whose join token had this label. */
  label: Name.optional(),
  /** Default: the runner's own prover. */
  bin: z.string().min(1).max(4096).optional(),
  /** Default: `processor` and the stage, as damocles starts its own. */
  args: z.array(z.string().max(4096)).max(200).optional(),
  /** How long until it must have said that it is ready. */
  stable_wait: Duration.default(5_000),
  /** How long a request may take, from when it was sent. */
  deadline_ms: Duration.optional(),
  numa_preferred: z.number().int().min(0).max(1023).optional(),
  cgroup: z
    .strictObject({
      group_name: Name.optional(),
      cpuset: z
        .string()
        .regex(/^[0-9]+(?:-[0-9]+)?(?:,[0-9]+(?:-[0-9]+)?)*$/, 'cores are written "0-3,8"')
        .optional(),
    })
    .optional(),
  envs: z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), z.string().max(32_768)).default({}),
  /** Whether it also gets what every stage sees: PATH, HOME, XDG_CACHE_HOME, FIL_PROOFS_*. */
  inherit_envs: z.boolean().default(true),
  /** Requests at a time; not given: as many as there are. */
  concurrent: z.number().int().min(1).max(1024).optional(),
  locks: z.array(Name).max(32).default([]),
  /** Of several that could take a request, how often this one does. */
  weight: z.number().int().min(1).max(65_535).default(1),
  auto_restart: z.boolean().default(true),
});
export type Processor = z.infer<typeof Processor>;

const list = z.array(Processor).max(64).default([]);

/** The whole table: locks by name with how many may hold each, and processors by stage. */
export const Processors = z
  .strictObject({
    ext_locks: z.record(Name, z.number().int().min(1).max(1024)).default({}),
    add_pieces: list,
    tree_d: list,
    pc1: list,
    pc2: list,
    c2: list,
    snap_prove: list,
    snap_encode: z
      .never({
        error: "damocles' snap_encode makes no vanilla proofs of the update, which the stage must give; leave it to the prover",
      })
      .optional(),
  })
  .superRefine((table, context) => {
    for (const stage of ProcessorStage.options) {
      for (const [at, { locks }] of table[stage].entries()) {
        const unknown = locks.find((lock) => !Object.hasOwn(table.ext_locks, lock));
        if (unknown === undefined) continue;
        const message = `there is no lock ${JSON.stringify(unknown)}; say in ext_locks how many may hold it`;
        context.addIssue({ code: 'custom', path: [stage, at, 'locks'], message });
      }
    }
  });
export type Processors = z.infer<typeof Processors>;
