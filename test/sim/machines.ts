/** What runners say of their machines: mostly sensible, at times absurd. Placement must bear all of it. */
import type { Resources } from '../../src/schema/runner.ts';
import { Rng } from './prng.ts';

export type MachineWords = {
  readonly resources: Resources;
  /** Of its join token: what an hour costs. */
  readonly labels: readonly string[];
  /** Of every stage, in its heartbeats. */
  readonly secondsLeft: number | undefined;
};

const BYTES_PER_S = [undefined, 0, 1, 1e6, 1e9, Number.MAX_SAFE_INTEGER] as const;
const HASH_MB = [undefined, 0, 1e-300, 400, 1e7] as const;
const USD = [undefined, '0', '0.4', '10000', 'nonsense', '-1'] as const;
const SECONDS = [undefined, undefined, 0, 60, 1e308] as const;

/** The same for a name and seed, apart from all other draws. */
export function machineOf(seed: number, name: string): MachineWords {
  const rng = Rng.named(seed, `machine ${name}`);
  const one = <T>(choices: readonly T[]): T => choices[rng.int(choices.length)] as T;
  const [down, hash, usd, secondsLeft] = [one(BYTES_PER_S), one(HASH_MB), one(USD), one(SECONDS)];
  return {
    resources: {
      cores: 8,
      ramBytes: one([1, 1e11, Number.MAX_SAFE_INTEGER]),
      diskFreeBytes: one([1e12, Number.MAX_SAFE_INTEGER]),
      gpus: [],
      ...(down === undefined ? {} : { network: { downBytesPerS: down, upBytesPerS: down, measuredMs: 0 } }),
      ...(hash === undefined ? {} : { speeds: { measuredMs: 0, hashMbPerSecond: hash } }),
    },
    labels: usd === undefined ? [] : [`usd_per_hour=${usd}`],
    secondsLeft,
  };
}
