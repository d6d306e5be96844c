/** Accounts and miners: keys, balances (attoFIL), nonces. Keys follow from the chain's seed. */
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { blake2b } from '@noble/hashes/blake2.js';
import { actorId, secp256k1Address } from '../chain/addresses.ts';
import type { Ledger } from './ledger.ts';

export type Account = {
  readonly id: number;
  /** `t1…` */
  readonly address: string;
  readonly privateKey: Uint8Array;
  readonly balance: bigint;
  readonly nonce: number;
};

export type Miner = {
  readonly id: number;
  readonly sectorSizeBytes: number;
  readonly owner: number;
  readonly worker: number;
  readonly balance: bigint;
  /** Deposits and pledges. */
  readonly locked: bigint;
  /** Its software posts no Window PoSt (`POST /control`). */
  readonly missesPost: boolean;
};

type AccountRow = { id: number; address: string; private_key: string; balance: string; nonce: number };
type MinerRow = {
  id: number;
  sector_size_bytes: number;
  owner: number;
  worker: number;
  balance: string;
  locked: string;
  misses_post: number;
};

const FIRST_ACCOUNT_ID = 100;

/** Makes the next account; its key is derived from the seed and its id. */
export function createAccount(ledger: Ledger, balance: bigint): Account {
  const last = ledger.db.prepare('SELECT max(id) AS id FROM accounts').get() as { id: number | null };
  const id = (last.id ?? FIRST_ACCOUNT_ID - 1) + 1;
  const privateKey = blake2b(Buffer.from(`${ledger.genesisSeed()}|account|${id}`), { dkLen: 32 });
  const address = secp256k1Address(secp256k1.getPublicKey(privateKey, false));
  ledger.db
    .prepare('INSERT INTO accounts VALUES (?, ?, ?, ?, 0)')
    .run(id, address, Buffer.from(privateKey).toString('hex'), balance.toString());
  return { id, address, privateKey, balance, nonce: 0 };
}

/** Makes a miner actor. */
export function createMiner(ledger: Ledger, miner: Omit<Miner, 'locked' | 'missesPost'>): void {
  ledger.db
    .prepare("INSERT INTO miners (id, sector_size_bytes, owner, worker, balance, locked) VALUES (?, ?, ?, ?, ?, '0')")
    .run(miner.id, miner.sectorSizeBytes, miner.owner, miner.worker, miner.balance.toString());
}

/** The account of a `t1…` or ID address, or `undefined`. */
export function findAccount(ledger: Ledger, address: string): Account | undefined {
  const row = /^[tf]0/.test(address)
    ? ledger.db.prepare('SELECT * FROM accounts WHERE id = ?').get(Number(actorId(address)))
    : ledger.db.prepare('SELECT * FROM accounts WHERE address = ?').get(`t${address.slice(1)}`);
  return row === undefined ? undefined : toAccount(row as AccountRow);
}

export function allAccounts(ledger: Ledger): Account[] {
  return (ledger.db.prepare('SELECT * FROM accounts ORDER BY id').all() as AccountRow[]).map(toAccount);
}

export function setAccount(ledger: Ledger, id: number, balance: bigint, nonce: number): void {
  ledger.db.prepare('UPDATE accounts SET balance = ?, nonce = ? WHERE id = ?').run(balance.toString(), nonce, id);
}

/** Keeps what accounts have at the head of this epoch, where it is not what they had before. */
export function keepAccountStates(ledger: Ledger, epoch: number): void {
  ledger.db
    .prepare(
      `INSERT OR REPLACE INTO account_states SELECT id, ?, balance, nonce FROM accounts WHERE NOT EXISTS (
        SELECT 1 FROM account_states AS kept WHERE kept.account = accounts.id
          AND kept.epoch = (SELECT max(epoch) FROM account_states WHERE account = accounts.id)
          AND kept.balance = accounts.balance AND kept.nonce = accounts.nonce)`,
    )
    .run(epoch);
}

/** What an account had at the head of an earlier epoch; `undefined` where that was not kept. */
export function accountStateAt(ledger: Ledger, id: number, epoch: number): { balance: string; nonce: number } | undefined {
  return ledger.db
    .prepare('SELECT balance, nonce FROM account_states WHERE account = ? AND epoch <= ? ORDER BY epoch DESC LIMIT 1')
    .get(id, epoch) as { balance: string; nonce: number } | undefined;
}

/** The miner actor of an ID address, or `undefined`. */
export function findMiner(ledger: Ledger, address: string): Miner | undefined {
  if (!/^[tf]0/.test(address)) return undefined;
  const row = ledger.db.prepare('SELECT * FROM miners WHERE id = ?').get(Number(actorId(address))) as MinerRow | undefined;
  return row === undefined ? undefined : toMiner(row);
}

export function allMiners(ledger: Ledger): Miner[] {
  return (ledger.db.prepare('SELECT * FROM miners ORDER BY id').all() as MinerRow[]).map(toMiner);
}

export function setMissesPost(ledger: Ledger, id: number, misses: boolean): void {
  ledger.db.prepare('UPDATE miners SET misses_post = ? WHERE id = ?').run(misses ? 1 : 0, id);
}

export function setMinerFunds(ledger: Ledger, id: number, balance: bigint, locked: bigint): void {
  ledger.db.prepare('UPDATE miners SET balance = ?, locked = ? WHERE id = ?').run(balance.toString(), locked.toString(), id);
}

function toMiner(row: MinerRow): Miner {
  return {
    id: row.id,
    sectorSizeBytes: row.sector_size_bytes,
    owner: row.owner,
    worker: row.worker,
    balance: BigInt(row.balance),
    locked: BigInt(row.locked),
    missesPost: row.misses_post === 1,
  };
}

function toAccount(row: AccountRow): Account {
  return {
    id: row.id,
    address: row.address,
    privateKey: Uint8Array.from(Buffer.from(row.private_key, 'hex')),
    balance: BigInt(row.balance),
    nonce: row.nonce,
  };
}
