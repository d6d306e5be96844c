/**
 * A seed's script: which operations come and which faults, each with its moment. Nothing else is random but
 * latencies, so that a story is cut down by leaving lines out.
 */
import type { SealProof } from '../../src/schema/seal-proof.ts';

/** A time after the begin, or a time after the `job`-th job first reached a state. */
export type When = { readonly atMs: number } | { readonly job: number; readonly state: string; readonly afterMs: number };

/** Every call that leaves the control plane, or its database; `.*`: whichever is next. */
export type Port =
  | 'store.commit'
  | 'chain.*'
  | 'objects.*'
  | 'chain.head'
  | 'chain.network'
  | 'chain.ticket'
  | 'chain.ticketAt'
  | 'chain.seed'
  | 'chain.sender'
  | 'chain.sign'
  | 'chain.push'
  | 'chain.message'
  | 'chain.preCommit'
  | 'chain.sector'
  | 'chain.allocated'
  | 'objects.createUpload'
  | 'objects.completeUpload'
  | 'objects.abortUpload'
  | 'objects.getUrl'
  | 'objects.delete'
  | 'net.next'
  | 'net.heartbeat'
  | 'webhook.post'
  | 'wake.poll'
  | 'declare.files';

/**
 * `crash_before`, `crash_after`: the control plane dies before the call was made, or after it was done and
 * before its answer came. `lost`: done, but the answer is an error. `twice`: done twice. `stale`: a node that
 * lags answers. `full`: the database's disk is full. Of `wake.poll`, the word that wakes a long poll: `lost` or `twice`.
 */
export type PortFault = 'error' | 'permanent' | 'lost' | 'twice' | 'delay' | 'stale' | 'crash_before' | 'crash_after' | 'full' | 'io_error';

/** What goes wrong with a stage: codes a runner reports, and lies. */
export type StageFault =
  | 'internal'
  | 'out_of_memory'
  | 'out_of_disk'
  | 'interrupted'
  | 'bad_request'
  | 'input_invalid'
  | 'input_differs'
  | 'proof_invalid'
  | 'parameters_missing'
  | 'program_missing'
  | 'storage_full'
  | 'transfer_failed'
  | 'wrong_comm_r'
  | 'wrong_comm_d'
  | 'garbage'
  | 'garbage_hash'
  | 'forged'
  | 'bad_proof'
  | 'missing_output'
  | 'extra_output'
  | 'wrong_size'
  | 'unparsable'
  | 'hang'
  | 'die'
  /** Heartbeats go on, without progress or with made-up one. */
  | 'stalls'
  | 'pretends';

export type Action =
  | {
      readonly do: 'pledge';
      readonly plan: string;
      readonly count: number;
      readonly pieces?: number;
      readonly sector?: number;
      readonly ownData?: boolean;
      readonly skipOnchainCheck?: boolean;
    }
  | { readonly do: 'piece'; readonly sizeBytes: number }
  | { readonly do: 'pause'; readonly job: number; readonly now: boolean }
  | { readonly do: 'resume'; readonly job: number; readonly state?: string; readonly force: boolean }
  | { readonly do: 'abort'; readonly job: number; readonly force: boolean }
  | { readonly do: 'port'; readonly port: Port; readonly how: PortFault; readonly count: number; readonly ms: number }
  | { readonly do: 'stage'; readonly job?: number; readonly how: StageFault }
  | {
      readonly do: 'runner';
      readonly runner: number;
      readonly act: 'leave' | 'reboot' | 'freeze' | 'drain' | 'cordon' | 'ban' | 'ready' | FleetAct;
      readonly ms: number;
    }
  /** How the runner answers self-tests from now on. */
  | { readonly do: 'tests'; readonly runner: number; readonly how: TestFault }
  | { readonly do: 'join'; readonly trust: 'own' | 'rented' }
  | { readonly do: 'restart'; readonly awayMs: number; readonly crash: boolean; readonly change?: SettingsChange }
  | { readonly do: 'stall'; readonly ms: number }
  /** A backup is made now; so much later the control plane's disk is lost, and what comes back is the backup. `againMs`: after so long of that life the same happens once more, with the same backup. */
  | { readonly do: 'restore'; readonly ageMs: number; readonly awayMs: number; readonly againMs?: number }
  | {
      readonly do: 'chain';
      readonly what: 'reorg' | 'null_rounds' | 'mempool_loss' | 'foreign' | 'taken';
      readonly depth: number;
      readonly lose: boolean;
    }
  | {
      readonly do: 'exit_code';
      readonly method: 'PreCommitSectorBatch2' | 'ProveCommitSectors3' | 'ProveReplicaUpdates3';
      readonly code: number;
    }
  | { readonly do: 'rot'; readonly what: 'object' | 'stored'; readonly match?: string }
  /** A disk of miner storage, for so long. */
  | { readonly do: 'disk'; readonly disk: number; readonly act: 'away' | 'read_only' | 'full'; readonly ms: number }
  /** An operator's hand on miner storage. */
  | { readonly do: 'storage'; readonly disk: number; readonly act: StorageAct }
  /** The next steps of moves and checks of stored files. */
  | { readonly do: 'errand'; readonly how: ErrandFault; readonly count: number };

/** `stop`: uncordoned, and a drain of it ended. */
export type StorageAct = 'cordon' | 'drain' | 'stop' | 'scrub' | 'declare';

/**
 * Of a step that a runner does beside its stages. `silent`: neither done nor answered; `lost`: done; `again`: the answer comes once more, later, as of a question that the network
 * held up; `mixed_up`: answers to what was
 * never asked come before the true one; `dies`: the process, in the midst of it.
 */
export type ErrandFault = 'silent' | 'lost' | 'twice' | 'late' | 'again' | 'fails' | 'mixed_up' | 'dies';

/** Miner storage as runners tell of it: the first disk is the one that sectors from before the begin are on. */
export type StorageSettings = {
  readonly disks: readonly { readonly weight: number; readonly totalBytes: number }[];
  /** Somebody does Window PoSt, and is told. */
  readonly declares: boolean;
  readonly scrubEveryMs?: number;
};

/**
 * `sigterm`: a spot notice, after `ms` it is started again. `cut`: its network is cut for `ms`. `upgrade`: other software waits for
 * all. `thief`: a second process with its credential. `late_thief`: one with the credential that it has now, which speaks once that
 * was replaced. `found_out`: an operator sees after `ms` who the thief is, ends it and lifts the quarantine. `keep_fails`: its disk cannot keep the next credential once. `keep_dies`: it dies once it has kept it, before its
 * first use.
 */
export type FleetAct = 'sigterm' | 'cut' | 'upgrade' | 'thief' | 'late_thief' | 'found_out' | 'keep_fails' | 'keep_dies';

/** `turns`: the first answers are right. */
export type TestFault = 'right' | 'wrong' | 'failed' | 'silent' | 'slow' | 'turns';

/** What the control plane is set to ask of runners; in a day's proportions, but in minutes. */
export type FleetSettings = {
  readonly credentialMs?: number;
  readonly selfTest?: 'rented' | 'all';
  readonly canaryEveryMs?: number;
  /** Deadlines of every stage: between two signs of progress, and in all. */
  readonly progressMs?: number;
  readonly stageMs?: number;
};

export type SettingsChange = {
  readonly allowCc?: boolean;
  readonly threads?: number;
  readonly lastSector?: number;
  readonly maxRetries?: number;
};

export type Item = { readonly when: When } & Action;

/** A sector that is there already. `ticket`: the database knows its value; else it is drawn again. */
export type Existing = {
  readonly number: number;
  readonly holds: 'nothing' | 'data' | 'upgraded';
  readonly ticket: boolean;
  readonly lost: boolean;
};

/** One story. */
export type Script = {
  readonly seed: number;
  readonly sealProof: SealProof;
  readonly threads: number;
  readonly runners: readonly { readonly trust: 'own' | 'rented'; readonly slots: number }[];
  readonly sectors?: readonly Existing[];
  /** Events are posted to a receiver. */
  readonly webhook?: boolean;
  readonly fleet?: FleetSettings;
  /** A sector whose ticket is too old goes back by itself. */
  readonly autoFallback?: boolean;
  /** Absent: one disk with room for everything, of which runners tell nothing. */
  readonly storage?: StorageSettings;
  /** Runners keep artifacts that they have read or made. */
  readonly caches?: boolean;
  /** One stage in ten lasts several leases. */
  readonly longStages?: boolean;
  /** Absent: URLs outlive the story, and files come without sums. */
  readonly transfers?: TransferSettings;
  readonly items: readonly Item[];
  /** Faults end at the latest after this long. */
  readonly faultsMs: number;
};

/** How files move. */
export type TransferSettings = {
  /** URLs are good for so long. */
  readonly urlTtlMs: number;
  /** So many manifests of files that rented runners make are of something else. */
  readonly wrongSums: number;
  /** Rented runners ask for URLs of attempts that others work on. */
  readonly nosy: boolean;
};

/** Groups of faults, as the coverage table counts them. */
const OF_ALL = [
  'none',
  'crash',
  'restart',
  'stall',
  'disk_full',
  'restore',
  'chain_error',
  'chain_refuses',
  'chain_lags',
  'reorg',
  'mempool_loss',
  'nonce_race',
  'message_fails',
  'object_error',
  'network',
  'receiver',
  'runner_lost',
  'runner_fails',
  'runner_lies',
  'rot',
  'pause',
  'resume',
  'resume_back',
  'operator_refused',
] as const;
/** Those of runners on hostile machines. */
export const FLEET_FAULTS = ['credential', 'theft', 'runner_stalls', 'self_test', 'fleet_hand', 'hand_back', 'cut', 'wake_up'] as const;
export type FleetFault = (typeof FLEET_FAULTS)[number];
/** Those of miner storage: its disks, hands on it and steps of moves; and telling of what is stored. */
export const STORAGE_FAULTS = ['storage', 'declare'] as const;
export const OTHER_FAULTS = OF_ALL;
export const FAULTS = [...OF_ALL, ...FLEET_FAULTS, ...STORAGE_FAULTS] as const;
export type Fault = (typeof FAULTS)[number];
