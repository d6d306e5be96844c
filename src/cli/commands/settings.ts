/** `sealpool settings …` and `sealpool worker limits`: what changes while the control plane runs. */
import type { Client, LimitSet, SettingsView } from '../../api/client.ts';
import { Stage } from '../../schema/stage.ts';
import { type Command, type Session, UsageError } from '../command.ts';
import { elapsed, table } from '../text.ts';
import { WORKER_OPTION, workerOf } from './workers.ts';

type Patch = Parameters<Client['setSettings']>[0];
type Change = NonNullable<NonNullable<Patch['limits']>['all']>;

const KEYS = 'concurrent.STAGE=N|default staggered.STAGE=5m|default …';

/** damocles' names of stages that differ by more than capitals and underscores. */
const DAMOCLES_STAGES: Readonly<Record<string, Stage>> = { addpieces: 'AddPiece', treed: 'BuildTreeD' };

/** A stage as typed: `PC1`, or damocles' `pc1`, `tree_d`, `snap_encode`. */
function stageOf(typed: string): Stage {
  const plain = typed.toLowerCase().replaceAll('_', '');
  const stage = Stage.options.find((name) => name.toLowerCase() === plain) ?? DAMOCLES_STAGES[plain];
  if (stage === undefined) throw new UsageError(`there is no stage ${JSON.stringify(typed)}; stages are ${Stage.options.join(', ')}`);
  return stage;
}

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds of `500ms`, `30s`, `5m`, `5min`, `1h`, `30d`. */
export function durationMs(typed: string): number {
  const [, count, unit] = /^([0-9]{1,9})(ms|s|m|min|h|d)$/.exec(typed) ?? [];
  if (count === undefined || unit === undefined) throw new UsageError(`${JSON.stringify(typed)} is no time; give one like 30s, 5m or 1h`);
  return Number(count) * (UNITS_MS[unit] as number);
}

function numberOf(kind: 'concurrent' | 'staggered', value: string): number {
  if (kind === 'staggered') return durationMs(value);
  if (!/^[0-9]{1,6}$/.test(value)) throw new UsageError(`concurrent takes a whole number and not ${JSON.stringify(value)}; mend it`);
  return Number(value);
}

/** `concurrent.PC1=2 staggered.PC1=5m` as a change; `default` goes back to the configuration's. */
export function changeOf(settings: readonly string[]): Change {
  const change = { concurrent: {} as Record<string, number | null>, staggeredMs: {} as Record<string, number | null> };
  for (const setting of settings) {
    const [, kind, stage, value] = /^(concurrent|staggered)\.(\w+)=(.+)$/.exec(setting) ?? [];
    if (stage === undefined || value === undefined) throw new UsageError(`${JSON.stringify(setting)} is no setting; type: ${KEYS}`);
    const of = kind as 'concurrent' | 'staggered';
    change[of === 'staggered' ? 'staggeredMs' : of][stageOf(stage)] = value === 'default' ? null : numberOf(of, value);
  }
  return change;
}

function limitTable(sets: readonly (readonly [of: string, set: LimitSet])[]): string {
  const rows = sets.flatMap(([of, { concurrent, staggeredMs }]) =>
    Stage.options.flatMap((stage) => {
      const [most, spacing] = [concurrent?.[stage], staggeredMs?.[stage]];
      return most === undefined && spacing === undefined
        ? []
        : [[of, stage, most ?? null, spacing === undefined ? null : spacing % 1000 === 0 ? elapsed(spacing) : `${spacing}ms`]];
    }),
  );
  return rows.length === 0
    ? 'no limits: a stage runs wherever a runner has room for it'
    : table(['of', 'stage', 'concurrent', 'staggered'], rows);
}

const allLimits = ({ limits }: SettingsView): string => limitTable([['all', limits.all], ...Object.entries(limits.workers)]);

async function workerLimits(session: Session): Promise<void> {
  const { client, positionals, show } = session;
  const { worker } = await client.worker(await workerOf(session));
  const settings =
    positionals.length === 0
      ? await client.settings()
      : await client.setSettings({ limits: { workers: { [worker]: changeOf(positionals) } } });
  show(settings, ({ limits }) => limitTable([[worker, limits.workers[worker] ?? {}]]));
}

export const LIMIT_COMMAND: Command = {
  words: 'worker limits',
  takes: `[${KEYS}] [--worker NAME]`,
  about: "a worker's limits; with settings, changes them",
  options: WORKER_OPTION,
  positionals: [0, 60],
  run: workerLimits,
};

export const SETTINGS_COMMANDS: readonly Command[] = [
  {
    words: 'settings show',
    takes: '',
    about: 'what counts now: limits of all, and of each worker',
    run: async ({ client, show }) => show(await client.settings(), allLimits),
  },
  {
    words: 'settings set',
    takes: KEYS,
    about: 'limits of all sealing_threads together; at once, without a restart',
    positionals: [1, 60],
    run: async ({ client, positionals, show }) => show(await client.setSettings({ limits: { all: changeOf(positionals) } }), allLimits),
  },
];
