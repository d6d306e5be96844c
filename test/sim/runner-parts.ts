/** What a faked runner is made of. */
import type { AttemptId } from '../../src/schema/ids.ts';
import type { Checkpoint, Grant, HeartbeatRequest, Report } from '../../src/schema/runner.ts';
import type { VirtualClock } from './clock.ts';
import type { ControlPlane } from './control-plane.ts';
import type { FakeObjects } from './fake-objects.ts';
import type { Faults } from './faults.ts';
import type { MachineWords } from './machines.ts';
import type { FleetOracle } from './oracle-fleet.ts';
import type { Rng } from './prng.ts';
import type { ErrandFault, StageFault, TestFault } from './script.ts';
import type { MinerDisks } from './miner-disks.ts';
import type { AttemptUrls } from './transfers.ts';

/** What a runner has on its disk: it outlives its processes. */
export type RunnerDisk = {
  credential: string;
  /** The next one cannot be kept, or is kept and the process dies of it: so many times. */
  keepFails: number;
  keepDies: number;
  /** Artifacts by their keys, used last last; absent: it keeps none. */
  readonly cache?: Map<string, string>;
};

/** A stage in its hands. */
export type Active = {
  readonly grant: Grant;
  readonly urls: AttemptUrls;
  report?: Report;
  cancelled: boolean;
  readonly sinceMs: number;
  readonly workMs: number;
  /** Shows progress that there is none of. */
  pretends: boolean;
  early?: Early;
};

/** A layer that was sent while PC1 goes on. */
export type Early = { readonly checkpoint: Checkpoint; kept: boolean };

export type RunnerParts = {
  readonly id: string;
  readonly name: string;
  readonly trust: 'own' | 'rented';
  readonly slots: number;
  readonly machine: MachineWords;
  readonly disk: RunnerDisk;
  /** Version of the files that this process was started with. */
  readonly version: string;
  /** Its credential gets old here: it beats also while it has nothing to do. */
  readonly rotates: boolean;
  /** One of its stages in ten is long. */
  readonly longStages: boolean;
  readonly clock: VirtualClock;
  readonly rng: Rng;
  readonly faults: Faults;
  readonly objects: FakeObjects;
  /** Miner storage that it has mounted. */
  readonly disks: MinerDisks | undefined;
  /** The fault that the next step beside its stages is to suffer. */
  readonly errandFault: () => ErrandFault | undefined;
  readonly lostDatabases: () => number;
  /** The control plane as the network finds it now. */
  readonly plane: () => ControlPlane | undefined;
  /** The fault that this attempt is to suffer, if a script says so. */
  readonly fault: (attempt: AttemptId, trust: 'own' | 'rented') => StageFault | undefined;
  /** Whether the manifest that it makes now is wrong; undefined: it makes none. */
  readonly wrongSum: (() => boolean) | undefined;
  /** Attempts of others whose URLs it asks for. */
  readonly nosy: () => HeartbeatRequest['attempts'];
  /** How it answers self-tests; the number is that of the answers before. */
  readonly testing: (answered: number) => TestFault;
  /** Told what was said and answered. */
  readonly told: () => FleetOracle;
  /** The credential was refused: nothing more is possible. */
  readonly onRefused: () => void;
  /** It has finished what it had and wants to be started with other files, or died of a fault on its disk. */
  readonly onEnded: () => void;
};
