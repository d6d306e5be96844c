/** Whom a fault hits, and as what the coverage table counts a stage's. */
import { FLEET_FAULTS, type Fault, type StageFault } from './script.ts';

const LIES: ReadonlySet<StageFault> = new Set([
  'wrong_comm_r',
  'wrong_comm_d',
  'garbage',
  'garbage_hash',
  'forged',
  'bad_proof',
  'missing_output',
  'extra_output',
  'wrong_size',
  'unparsable',
]);

const STALLS: ReadonlySet<StageFault> = new Set(['stalls', 'pretends']);

/** Jobs that a fault of this kind can touch, by what they wait for; others touch everybody. */
export const WAITING: Partial<Record<Fault, readonly string[]>> = {
  chain_error: ['effect'],
  chain_refuses: ['effect'],
  chain_lags: ['effect'],
  nonce_race: ['effect'],
  mempool_loss: ['effect'],
  object_error: ['stage', 'runner'],
  network: ['stage', 'runner'],
  runner_lost: ['stage', 'runner'],
  storage: ['stage', 'runner'],
  declare: ['effect'],
  ...Object.fromEntries(FLEET_FAULTS.map((fault) => [fault, ['stage', 'runner']])),
};

/** Only rented runners lie; own ones break. */
export function isLie(how: StageFault): boolean {
  return LIES.has(how);
}

/** As the coverage table counts it. */
export function faultOf(how: StageFault): Fault {
  if (STALLS.has(how)) return 'runner_stalls';
  if (how === 'die' || how === 'hang') return 'runner_lost';
  return isLie(how) ? 'runner_lies' : 'runner_fails';
}
