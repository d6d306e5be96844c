/** What the control plane of a story is configured with: its script's settings, and what a restart changed. */
import { type Settings, DEFAULTS } from '../../src/scheduler/context.ts';
import { MinerId } from '../../src/schema/ids.ts';
import { PlanName } from '../../src/schema/job.ts';
import { Stage } from '../../src/schema/stage.ts';
import type { Script, SettingsChange } from './script.ts';
import { storageSettingsOf } from './storage-faults.ts';

export const MINER = MinerId.parse('t01000');

export function settingsOf(script: Script, change: SettingsChange): Settings {
  const { fleet = {} } = script;
  const ofAll = (ms: number | undefined): Partial<Record<Stage, number>> => Object.fromEntries(Stage.options.map((stage) => [stage, ms]));
  const { allowCc = true, threads = script.threads, lastSector = 100, maxRetries = 4 } = change;
  const pledged = new Set(script.items.flatMap((item) => (item.do === 'pledge' ? [item.plan] : [])));
  const plans = PlanName.options.filter((plan) => pledged.has(plan));
  const miner = {
    sealProof: script.sealProof,
    firstSector: 1,
    lastSector,
    allowCc,
    ...(script.autoFallback === true ? { autoFallback: true } : {}),
  };
  return {
    ...DEFAULTS,
    // An hour would be most of a story.
    patienceMs: 60_000,
    retry: { firstWaitMs: 1_000, maxWaitMs: 60_000, maxRetries },
    network: 'dev',
    ...storageSettingsOf(script),
    urlTtlMs: script.transfers?.urlTtlMs ?? DEFAULTS.urlTtlMs,
    ...(fleet.credentialMs === undefined ? {} : { credentialMs: fleet.credentialMs }),
    ...(fleet.selfTest === undefined ? {} : { selfTest: fleet.selfTest }),
    ...(fleet.canaryEveryMs === undefined ? {} : { canaryEveryMs: fleet.canaryEveryMs }),
    ...(fleet.progressMs === undefined ? {} : { progressMs: ofAll(fleet.progressMs) }),
    ...(fleet.stageMs === undefined ? {} : { stageMs: ofAll(fleet.stageMs) }),
    miners: { [MINER]: miner },
    threads: plans.flatMap((plan) =>
      Array.from({ length: threads }, (_, index) => ({ worker: plan, index, plan, miner: null, auto: false })),
    ),
  } as Settings;
}
