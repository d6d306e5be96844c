/** What may happen in a story, by weight: operations and faults. */
import type { Rng } from './prng.ts';
import type { Action, Fault, Port, PortFault, SettingsChange, StageFault } from './script.ts';

const STAGE_FAULTS: readonly (readonly [number, StageFault])[] = [
  [4, 'internal'],
  [2, 'out_of_memory'],
  [1, 'out_of_disk'],
  [2, 'interrupted'],
  [1, 'bad_request'],
  [2, 'input_invalid'],
  [2, 'input_differs'],
  [2, 'proof_invalid'],
  [1, 'parameters_missing'],
  [1, 'program_missing'],
  [2, 'storage_full'],
  [2, 'transfer_failed'],
  [3, 'wrong_comm_r'],
  [2, 'wrong_comm_d'],
  [4, 'garbage'],
  [3, 'garbage_hash'],
  [3, 'forged'],
  [3, 'bad_proof'],
  [2, 'missing_output'],
  [1, 'extra_output'],
  [2, 'wrong_size'],
  [2, 'unparsable'],
  [2, 'hang'],
  [4, 'die'],
];

const LIES = STAGE_FAULTS.slice(12, 22).map(([, how]) => how);
const FAILS = STAGE_FAULTS.slice(0, 12).map(([, how]) => how);

const CHAIN: readonly Port[] = [
  'chain.network',
  'chain.ticket',
  'chain.ticketAt',
  'chain.seed',
  'chain.sender',
  'chain.sign',
  'chain.push',
  'chain.message',
  'chain.preCommit',
  'chain.sector',
  'chain.allocated',
];
const OBJECTS: readonly Port[] = [
  'objects.createUpload',
  'objects.completeUpload',
  'objects.abortUpload',
  'objects.getUrl',
  'objects.delete',
];

const METHODS = ['PreCommitSectorBatch2', 'ProveCommitSectors3', 'ProveReplicaUpdates3'] as const;

/** A random operation or fault, by weight. `state`: when it happens, if it is aimed at one. */
export function anything(rng: Rng, job: number, state: string | undefined, states: readonly string[]): Action[] {
  const ms = rng.weighted([
    [3, rng.between(100, 3_000)],
    [2, rng.between(3_000, 40_000)],
  ]);
  const kind = rng.weighted([
    [14, 'stage'],
    [14, 'chain_port'],
    [8, 'object_port'],
    [8, 'net'],
    [10, 'store'],
    [8, 'crash_port'],
    [8, 'runner'],
    [6, 'pause'],
    [8, 'resume'],
    [3, 'abort'],
    [4, 'restart'],
    [2, 'stall'],
    [2, 'restore'],
    [8, 'chain'],
    [4, 'exit_code'],
    [2, 'rot'],
    [2, 'join'],
  ]);
  switch (kind) {
    case 'stage':
      return [{ do: 'stage', job, how: rng.weighted(STAGE_FAULTS) }];
    case 'chain_port':
      return [
        {
          do: 'port',
          port: rng.pick(CHAIN),
          how: rng.weighted<PortFault>([
            [4, 'error'],
            [2, 'permanent'],
            [4, 'lost'],
            [2, 'twice'],
            [3, 'delay'],
            [3, 'stale'],
          ]),
          count: rng.weighted([
            [3, 1],
            [2, 3],
            [1, 12],
          ]),
          ms,
        },
      ];
    case 'object_port':
      return [
        {
          do: 'port',
          port: rng.pick(OBJECTS),
          how: rng.weighted<PortFault>([
            [4, 'error'],
            [2, 'permanent'],
            [4, 'lost'],
            [2, 'twice'],
            [3, 'delay'],
          ]),
          count: rng.weighted([
            [3, 1],
            [2, 3],
          ]),
          ms,
        },
      ];
    case 'net':
      return [
        {
          do: 'port',
          port: rng.pick(['net.next', 'net.next', 'net.heartbeat']),
          how: rng.weighted<PortFault>([
            [3, 'error'],
            [5, 'lost'],
            [4, 'twice'],
            [3, 'delay'],
          ]),
          count: rng.weighted([
            [3, 1],
            [2, 4],
          ]),
          ms,
        },
      ];
    case 'store':
      return [
        {
          do: 'port',
          port: 'store.commit',
          how: rng.weighted<PortFault>([
            [5, 'full'],
            [3, 'crash_before'],
            [3, 'crash_after'],
            [1, 'io_error'],
          ]),
          count: rng.weighted([
            [3, 1],
            [1, 20],
          ]),
          ms,
        },
      ];
    case 'crash_port':
      return [{ do: 'port', port: rng.pick([...CHAIN, ...OBJECTS]), how: rng.pick(['crash_before', 'crash_after']), count: 1, ms }];
    case 'runner':
      return runner(rng);
    case 'pause':
      return [{ do: 'pause', job, now: rng.chance(40) }, ...(rng.chance(60) ? [resume(rng, job, states)] : [])];
    case 'resume':
      return [resume(rng, job, states)];
    case 'abort':
      return [{ do: 'abort', job, force: rng.chance(50) }];
    case 'restart': {
      const change: SettingsChange = rng.pick<SettingsChange>([
        {},
        { allowCc: rng.chance(50) },
        { threads: rng.between(0, 3) },
        { lastSector: rng.between(1, 3) },
        { maxRetries: rng.between(0, 6) },
      ]);
      return [{ do: 'restart', awayMs: rng.between(0, 60_000), crash: rng.chance(50), change }];
    }
    case 'stall':
      return [{ do: 'stall', ms: rng.between(5_000, 120_000) }];
    case 'restore':
      return [restore(rng)];
    case 'chain':
      return [
        {
          do: 'chain',
          what: rng.weighted([
            [4, 'reorg'],
            [2, 'null_rounds'],
            [3, 'mempool_loss'],
            [2, 'foreign'],
            [1, 'taken'],
          ]),
          depth: rng.between(1, 4),
          lose: rng.chance(30),
        },
      ];
    case 'exit_code':
      return [{ do: 'exit_code', method: rng.pick(METHODS), code: rng.pick([6, 7, 16, 18, 19, 20]) }];
    case 'rot':
      return [{ do: 'rot', what: rng.pick(['object', 'stored']) }];
    default:
      return state === undefined ? [{ do: 'piece', sizeBytes: 512 }] : [{ do: 'join', trust: rng.pick(['own', 'rented']) }];
  }
}

/** One fault of a kind, so that every kind meets every state. */
export function aimed(rng: Rng, fault: Fault, states: readonly string[]): Action[] {
  const job = 0;
  const ms = rng.between(500, 20_000);
  const port = (name: Port, how: PortFault): Action[] => [{ do: 'port', port: name, how, count: 1, ms }];
  switch (fault) {
    case 'crash':
      return rng.chance(50)
        ? port(rng.pick(['chain.*', 'objects.*', 'store.commit']), rng.pick(['crash_before', 'crash_after']))
        : [{ do: 'restart', awayMs: ms, crash: true }];
    case 'restart':
      return [{ do: 'restart', awayMs: ms, crash: false }];
    case 'stall':
      return [{ do: 'stall', ms: ms * 4 }];
    case 'disk_full':
      return port('store.commit', 'full');
    case 'restore':
      return [restore(rng)];
    case 'chain_error':
      return port('chain.*', rng.pick(['error', 'lost', 'twice', 'delay']));
    case 'chain_refuses':
      return port('chain.*', 'permanent');
    case 'chain_lags':
      return [{ do: 'port', port: 'chain.*', how: 'stale', count: rng.between(3, 6), ms }];
    case 'object_error':
      return port('objects.*', rng.pick(['error', 'permanent', 'lost', 'twice', 'delay']));
    case 'network':
      return port(rng.pick(['net.next', 'net.heartbeat']), rng.pick(['error', 'lost', 'twice', 'delay']));
    case 'receiver':
      return [{ do: 'port', port: 'webhook.post', how: rng.pick(['error', 'lost', 'twice', 'delay']), count: 2, ms }];
    case 'reorg':
      return [{ do: 'chain', what: rng.pick(['reorg', 'null_rounds']), depth: rng.between(1, 4), lose: rng.chance(30) }];
    case 'mempool_loss':
      return [{ do: 'chain', what: 'mempool_loss', depth: 1, lose: false }];
    case 'nonce_race':
      return [{ do: 'chain', what: 'foreign', depth: 1, lose: false }];
    case 'message_fails':
      return [{ do: 'exit_code', method: rng.pick(METHODS), code: rng.pick([6, 7, 16, 18, 19, 20]) }];
    case 'runner_lost':
      return rng.chance(50) ? [{ do: 'stage', job, how: rng.pick(['die', 'hang']) }] : runner(rng);
    case 'runner_fails':
      return [{ do: 'stage', job, how: rng.pick(FAILS) }];
    case 'runner_lies':
      return [{ do: 'stage', job, how: rng.pick(LIES) }];
    case 'rot':
      return [{ do: 'rot', what: rng.pick(['object', 'stored']) }];
    case 'pause':
      return [
        { do: 'pause', job, now: rng.chance(50) },
        { do: 'resume', job, force: rng.chance(50) },
      ];
    case 'resume':
      return [{ do: 'resume', job, force: true }];
    case 'resume_back':
      return [{ do: 'resume', job, state: rng.pick(states), force: true }];
    case 'operator_refused':
      return [{ do: 'resume', job, state: 'Nonsense', force: false }];
    default:
      return [];
  }
}

/** The older the backup, the more of what it knows has gone on since. */
function restore(rng: Rng): Action {
  const ageMs = rng.weighted([
    [3, rng.between(0, 2_000)],
    [3, rng.between(2_000, 60_000)],
    [1, rng.between(60_000, 300_000)],
  ]);
  return { do: 'restore', ageMs, awayMs: rng.between(0, 40_000) };
}

function resume(rng: Rng, job: number, states: readonly string[]): Action {
  const state = rng.weighted([
    [4, undefined],
    [5, rng.pick(states)],
    [1, 'Aborted'],
    [1, 'Nonsense'],
  ]);
  return { do: 'resume', job, ...(state === undefined ? {} : { state }), force: rng.chance(60) };
}

function runner(rng: Rng): Action[] {
  const at = rng.int(3);
  const what = rng.weighted([
    [3, 'leave'],
    [3, 'reboot'],
    [4, 'freeze'],
    [1, 'drain'],
    [1, 'cordon'],
    [1, 'ban'],
    [1, 'ready'],
  ] as const);
  return [{ do: 'runner', runner: at, act: what, ms: rng.between(1_000, 150_000) }];
}
