/**
 * What a node's refusal of a message means for the sector. The words are those of the miner actor and of
 * Lotus' mempool; a refusal that is not known here stays as it was.
 */
import type { MessageWant } from '../scheduler/effects.ts';
import { ChainError } from './errors.ts';

/** Exit codes of too little money: 6 the sender's, 19 the miner's. */
const SENDER_FUNDS = 6;
const MINER_FUNDS = 19;
/** Time for an operator to send money, without asking the node all the while. */
const FUNDS_WAIT_EPOCHS = 10;

const TICKET_TOO_OLD = /challenge epoch (-?\d+) too old(?:, must be after (-?\d+))?/;
const MEMPOOL_FUNDS = /not enough funds|insufficient funds/i;
/** `required: 2 FIL, balance: 1 FIL` of the mempool. */
const REQUIRED_BALANCE = /required: ([^,)]+), balance: ([^,)]+)/;
/** What actors and this project's dev chain say: `requirement 2, available: 1`, `funds 1 for pre-commit deposit: 2`, `has 1 …, needs 2`. */
const AMOUNTS: readonly { readonly words: RegExp; readonly needed: number; readonly there: number }[] = [
  { words: /requirement (\d+), available:? (\d+)/, needed: 1, there: 2 },
  { words: /insufficient funds (\d+) for [a-z -]*deposit: (\d+)/, needed: 2, there: 1 },
  { words: /has (\d+)[^\d]*(?:needs|sends) (\d+)/, needed: 2, there: 1 },
];

/** The error as the sector's flow wants to know it: an expired ticket, too little money, else as it was. */
export function explainRefusal(error: unknown, about: { want?: MessageWant | undefined; sender: string }): unknown {
  if (!(error instanceof ChainError) || error.rpcCode === undefined) return error;
  const { want, sender } = about;
  const detail = { exitCode: error.exitCode, rpcCode: error.rpcCode, cause: error };
  const old = TICKET_TOO_OLD.exec(error.message);
  if (old !== null && want !== undefined) {
    const limit = old[2] === undefined ? '' : `, the chain takes tickets after epoch ${old[2]} only`;
    return new ChainError(
      'permanent',
      'ticket_expired',
      `the ticket of sector ${want.number} of ${want.miner} is of epoch ${old[1]}${limit}: it expired before the pre-commit landed; resume at TreeDBuilt to draw a fresh ticket`,
      detail,
    );
  }
  const outOfFunds = error.exitCode === undefined ? MEMPOOL_FUNDS.test(error.message) : isFunds(error.exitCode);
  if (!outOfFunds) return error;
  const payer = error.exitCode === MINER_FUNDS && want !== undefined ? want.miner : sender;
  const message = `${payer} has too little money for the message${missing(error.message)}; send FIL to ${payer}, the message then goes out by itself`;
  return new ChainError('temporary', 'insufficient_funds', message, { ...detail, waitEpochs: FUNDS_WAIT_EPOCHS });
}

function isFunds(exitCode: number): boolean {
  return exitCode === SENDER_FUNDS || exitCode === MINER_FUNDS;
}

/** ` (needs …, has …)` where the node said so, with the gap where both are numbers. */
function missing(message: string): string {
  const both = REQUIRED_BALANCE.exec(message);
  if (both !== null) return ` (it needs ${both[1]}, it has ${both[2]})`;
  for (const { words, needed, there } of AMOUNTS) {
    const found = words.exec(message);
    if (found === null) continue;
    const [needs, has] = [BigInt(found[needed] as string), BigInt(found[there] as string)];
    return ` (it needs ${needs} attoFIL and has ${has}, so ${needs - has} are missing)`;
  }
  return '';
}
