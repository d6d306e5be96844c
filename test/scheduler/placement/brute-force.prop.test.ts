/**
 * A thousand random stages beside random fleets: what placement says of each runner, and whom it chooses, is what a plain
 * calculation from the same figures comes to. The calculation is written anew here, from the rules in docs/operating.md, and
 * calls nothing of the scheduler.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { sealProofInfo, type SealProof } from '../../../src/schema/seal-proof.ts';
import type { Stage } from '../../../src/schema/stage.ts';
import { askedOf } from '../../../src/scheduler/placement/asked.ts';
import { misfit } from '../../../src/scheduler/placement/feasible.ts';
import { lackedBytes } from '../../../src/scheduler/placement/holdings.ts';
import { queueMs, roomOf } from '../../../src/scheduler/placement/load.ts';
import { cheapest } from '../../../src/scheduler/placement/place.ts';
import { costOf } from '../../../src/scheduler/placement/score.ts';
import type { StageWork } from '../../../src/scheduler/plan.ts';
import type { RunnerRow, RunningStage } from '../../../src/scheduler/ports.ts';
import { runnerId } from '../../store/rows.ts';
import { GIB, machine, sealed } from './rows.ts';

const NOW = 1_000_000_000;
const HOUR = 3_600_000;

type Busy = { readonly startedAgoMs: number; readonly takesMs: number; readonly ramGiB: number; readonly diskGiB: number };
type Drawn = {
  readonly status: RunnerRow['status'];
  readonly own: boolean;
  readonly offers: boolean;
  readonly usdPerHour: number;
  readonly onlyStages: boolean;
  readonly ramGiB: number;
  readonly diskGiB: number;
  readonly vramGiB: number | null;
  readonly downMbPerS: number | null;
  readonly measuredMs: number | null;
  readonly slots: number;
  readonly busy: readonly Busy[];
};
type Case = {
  readonly stage: 'PC1' | 'PC2' | 'C2';
  readonly proof: SealProof;
  readonly ownOnly: boolean;
  readonly layersBy: number;
  readonly treeBy: number;
  readonly usd: number;
  readonly fleet: readonly Drawn[];
};

const busy = fc.record({
  startedAgoMs: fc.integer({ min: 0, max: 5 * HOUR }),
  takesMs: fc.integer({ min: 0, max: 5 * HOUR }),
  ramGiB: fc.constantFrom(0, 8, 56),
  diskGiB: fc.constantFrom(0, 100, 352),
});
const drawn: fc.Arbitrary<Drawn> = fc.record({
  status: fc.constantFrom('ready', 'ready', 'ready', 'ready', 'cordoned', 'quarantined'),
  own: fc.boolean(),
  offers: fc.constantFrom(true, true, true, false),
  usdPerHour: fc.constantFrom(0, 0.25, 1.5, 9_999),
  onlyStages: fc.constantFrom(false, false, false, true),
  ramGiB: fc.constantFrom(4, 32, 64, 128, 512),
  diskGiB: fc.constantFrom(10, 300, 900, 4000),
  vramGiB: fc.constantFrom(null, 0, 8, 24),
  downMbPerS: fc.constantFrom(null, 0, 1, 50, 1_250),
  measuredMs: fc.option(fc.integer({ min: 0, max: 20 * HOUR })),
  slots: fc.integer({ min: 1, max: 3 }),
  busy: fc.array(busy, { maxLength: 3 }),
});
const cases: fc.Arbitrary<Case> = fc.record({
  stage: fc.constantFrom('PC1', 'PC2', 'C2'),
  proof: fc.constantFrom('StackedDrg32GiBV1_1', 'StackedDrg32GiBV1_1_Feat_SyntheticPoRep', 'StackedDrg512MiBV1_1', 'StackedDrg2KiBV1_1'),
  ownOnly: fc.boolean(),
  layersBy: fc.nat(5),
  treeBy: fc.nat(5),
  usd: fc.constantFrom(0, 0.1, 1, 40),
  fleet: fc.array(drawn, { minLength: 1, maxLength: 6 }),
});

/** The plain calculation: dollars, or null where it does not fit. */
function plainly(c: Case, at: number): number | null {
  const r = c.fleet[at] as Drawn;
  const large = c.proof.includes('32GiB');
  const synthetic = c.proof.includes('Synthetic');
  const sector = c.proof.includes('512MiB') ? 512 * 2 ** 20 : c.proof.includes('2KiB') ? 2048 : 32 * GIB;
  const layers = large ? 11 : 2;
  if (r.status !== 'ready' || !r.offers || (c.ownOnly && !r.own)) return null;
  if (r.onlyStages && c.stage !== 'C2') return null;
  if (large && c.stage !== 'PC1') {
    const wanted = c.stage === 'C2' ? 10 : 0;
    if (r.vramGiB === null || (r.vramGiB !== 0 && r.vramGiB < wanted)) return null;
  }
  let fetch = 0;
  if (c.stage === 'PC2') {
    if (c.layersBy !== at) fetch += layers * sector + 2_000;
    if (c.treeBy !== at) fetch += 2 * sector;
  }
  const ram = large ? { PC1: 56, PC2: 8, C2: 30 }[c.stage] : 0;
  const writes = { PC1: layers * sector, PC2: Math.ceil(sector * (1 + 37 / 32 + (synthetic ? 0.325 : 0))), C2: 0 }[c.stage];
  // Every moment at which something ends is tried, the earliest first.
  const ends = r.busy.map((b) => Math.max(b.takesMs - b.startedAgoMs, b.startedAgoMs / 10));
  const moments = [0, ...ends].toSorted((a, b) => a - b);
  const fits = (ms: number, first: boolean): boolean => {
    const left = r.busy.filter((_, i) => first || (ends[i] as number) > ms);
    const ramLeft = r.ramGiB - left.reduce((sum, b) => sum + b.ramGiB, 0);
    const diskLeft = r.diskGiB * GIB - left.reduce((sum, b) => sum + b.diskGiB * GIB, 0);
    return left.length < r.slots && (ram === 0 || ram <= ramLeft) && writes + fetch <= Math.max(0, diskLeft);
  };
  const when = fits(0, true) ? 0 : moments.find((ms) => fits(ms, false));
  if (when === undefined) return null;
  const fetchS = fetch / Math.max(1, r.downMbPerS === null ? 125e6 : r.downMbPerS * 1e6);
  const usualS = ({ PC1: 10_800, PC2: 480, C2: 600 }[c.stage] * sector) / (32 * GIB);
  const stageS = r.measuredMs === null ? usualS : r.measuredMs / 1000;
  const untilPc2S = c.stage === 'PC1' ? (480 * sector) / (32 * GIB) : 0;
  const keptS = c.stage === 'C2' ? 0 : untilPc2S + (synthetic ? 0 : 216 * 30);
  return (r.usdPerHour * (fetchS + stageS + keptS) + c.usd * (when / 1000 + fetchS + stageS)) / 3600;
}

const rowOf = (r: Drawn, at: number, c: Case): RunnerRow =>
  machine(
    at,
    {
      status: r.status,
      trust: r.own ? 'own' : 'rented',
      stages: r.offers ? ['PC1', 'PC2', 'C2'] : ['AddPiece'],
      labels: [`usd_per_hour=${r.usdPerHour}`, ...(r.onlyStages ? ['stages=C2+Verify'] : []), 'eu'],
      slots: r.slots,
      ...(r.measuredMs === null ? {} : { stageMs: { [`${c.stage}/${sealProofInfo(c.proof).sectorSizeBytes}`]: r.measuredMs } }),
    },
    {
      ramBytes: r.ramGiB * GIB,
      diskFreeBytes: r.diskGiB * GIB,
      gpus: r.vramGiB === null ? [] : [{ model: 'card', vramBytes: r.vramGiB * GIB }],
      ...(r.downMbPerS === null ? {} : { network: { downBytesPerS: r.downMbPerS * 1e6, upBytesPerS: 1, measuredMs: 1 } }),
    },
  );

const runningOf = (r: Drawn, at: number): RunningStage[] =>
  r.busy.map(({ startedAgoMs, takesMs, ramGiB, diskGiB }) => ({
    runner: runnerId(at),
    stage: 'PC1',
    grantedMs: NOW - startedAgoMs,
    secondsLeft: null,
    fraction: null,
    expected: { fetchMs: 0, stageMs: takesMs, ramBytes: ramGiB * GIB, diskBytes: diskGiB * GIB },
  }));

/** What placement says of the same runner. */
function placed(c: Case, at: number): number | null {
  const names = c.fleet.map((_, n) => runnerId(n) as string);
  const job = sealed(1, c.proof, names[c.layersBy] ?? 'gone', names[c.treeBy] ?? 'gone');
  const inputs = c.stage === 'PC2' ? Object.keys(job.data.artifacts).map((name) => ({ name, artifact: name })) : [];
  const work: StageWork = {
    work: { kind: 'check-stored', storage: '', files: [] },
    inputs,
    pieces: false,
    outputs: [],
    trust: c.ownOnly ? 'own' : 'rented',
    storage: null,
  };
  const r = c.fleet[at] as Drawn;
  const row = rowOf(r, at, c);
  if (misfit(row, c.stage as Stage, work, job, NOW) !== undefined) return null;
  const asked = askedOf(job, c.stage, work, 30_000);
  const wait = queueMs(row, c.stage, roomOf(asked.needs, lackedBytes(row, asked.inputs)), runningOf(r, at), NOW);
  return wait === undefined ? null : costOf(asked, row, wait, c.usd).totalUsd;
}

/** Equal but for the rounding of sums. */
const near = (one: number, other: number): boolean => Math.abs(one - other) <= 1e-9 * Math.max(1, Math.abs(other));

test('a thousand random stages and fleets: every cost and every choice is as calculated plainly', () => {
  let chosen = 0;
  let nobody = 0;
  fc.assert(
    fc.property(cases, (c) => {
      const plain = c.fleet.map((_, at) => plainly(c, at));
      const ours = c.fleet.map((_, at) => placed(c, at));
      expect(ours.map((usd) => usd === null)).toEqual(plain.map((usd) => usd === null));
      for (const [at, usd] of ours.entries()) if (usd !== null) expect(near(usd, plain[at] as number)).toBe(true);
      const best = cheapest(
        ours.flatMap((totalUsd, at) => (totalUsd === null ? [] : [{ runner: String(at), cost: { totalUsd } as never }])),
      );
      const least = Math.min(...plain.flatMap((usd) => usd ?? []));
      if (best === undefined) nobody += 1;
      else {
        chosen += 1;
        expect(near(plain[Number(best.runner)] as number, least)).toBe(true);
      }
      expect(best === undefined).toBe(least === Number.POSITIVE_INFINITY);
    }),
    { numRuns: 1_000, seed: 9 },
  );
  // Both kinds come up often enough to mean something.
  expect(chosen).toBeGreaterThan(200);
  expect(nobody).toBeGreaterThan(50);
});
