/**
 * Every message ever pushed, with its state; rows are never deleted. Pending: in the mempool. Included: in the
 * head's tipset, to be executed as the next one is made. Landed: executed.
 */
import { type LotusSignedMessage, LotusSignedMessage as LotusSignedMessageSchema, messageCid, signedMessageCid } from '../chain/message.ts';
import type { Ledger } from './ledger.ts';

export type MessageRow = {
  readonly cid: string;
  readonly sender: string;
  readonly nonce: number;
  readonly signed: LotusSignedMessage;
  readonly state: 'pending' | 'included' | 'landed' | 'replaced';
  readonly exitCode: number | null;
  readonly returnBase64: string | null;
  readonly gasUsed: number | null;
  readonly reason: string | null;
  /** Of the tipset that has it, in which it executes too; its receipt comes one epoch later. */
  readonly epoch: number | null;
};

/** What executing a message came to. */
export type Receipt = {
  readonly exitCode: number;
  readonly returned: Uint8Array;
  readonly gasUsed: number;
  /** Why it failed; empty otherwise. */
  readonly reason: string;
};

type Row = {
  cid: string;
  sender: string;
  nonce: number;
  signed: string;
  state: MessageRow['state'];
  exit_code: number | null;
  return_base64: string | null;
  gas_used: number | null;
  reason: string | null;
  epoch: number | null;
};

export function insertPending(ledger: Ledger, sender: string, signed: LotusSignedMessage): string {
  const cid = signedMessageCid(signed).toString();
  ledger.db
    .prepare("INSERT INTO messages (cid, unsigned_cid, sender, nonce, signed, state) VALUES (?, ?, ?, ?, ?, 'pending')")
    .run(cid, messageCid(signed.Message).toString(), sender, signed.Message.Nonce, JSON.stringify(signed));
  return cid;
}

/** A message by the CID of its signed or of its unsigned form. */
export function findMessage(ledger: Ledger, cid: string): MessageRow | undefined {
  const row =
    ledger.db.prepare('SELECT * FROM messages WHERE cid = ?').get(cid) ??
    ledger.db.prepare('SELECT * FROM messages WHERE unsigned_cid = ? ORDER BY seq DESC').get(cid);
  return row === undefined ? undefined : toMessage(row as Row);
}

/** The message that landed with this sender and nonce, if any. */
export function findLanded(ledger: Ledger, sender: string, nonce: number): MessageRow | undefined {
  const row = ledger.db.prepare("SELECT * FROM messages WHERE sender = ? AND nonce = ? AND state = 'landed'").get(sender, nonce);
  return row === undefined ? undefined : toMessage(row as Row);
}

/** The mempool by sender and nonce. */
export function pendingMessages(ledger: Ledger, sender?: string): MessageRow[] {
  const rows =
    sender === undefined
      ? ledger.db.prepare("SELECT * FROM messages WHERE state = 'pending' ORDER BY sender, nonce").all()
      : ledger.db.prepare("SELECT * FROM messages WHERE state = 'pending' AND sender = ? ORDER BY nonce").all(sender);
  return (rows as Row[]).map(toMessage);
}

/** The messages of the head's tipset, by sender and nonce. */
export function includedMessages(ledger: Ledger): MessageRow[] {
  const rows = ledger.db.prepare("SELECT * FROM messages WHERE state = 'included' ORDER BY sender, nonce").all();
  return (rows as Row[]).map(toMessage);
}

/** The messages of the tipset of an epoch, by sender and nonce. */
export function messagesOfTipset(ledger: Ledger, epoch: number): MessageRow[] {
  return (ledger.db.prepare('SELECT * FROM messages WHERE epoch = ? ORDER BY sender, nonce').all(epoch) as Row[]).map(toMessage);
}

/** How many messages of this sender the head's tipset has. */
export function includedCount(ledger: Ledger, sender: string): number {
  const row = ledger.db.prepare("SELECT count(*) AS count FROM messages WHERE state = 'included' AND sender = ?").get(sender);
  return (row as { count: number }).count;
}

/** All messages in the order they were pushed, one at a time. */
export function* everyMessage(ledger: Ledger): Generator<MessageRow> {
  // Read page by page: an open cursor would forbid writing meanwhile.
  let after = 0;
  for (;;) {
    const rows = ledger.db.prepare('SELECT * FROM messages WHERE seq > ? ORDER BY seq LIMIT 200').all(after) as (Row & { seq: number })[];
    if (rows.length === 0) return;
    for (const row of rows) yield toMessage(row);
    after = (rows.at(-1) as { seq: number }).seq;
  }
}

export function markReplaced(ledger: Ledger, cid: string): void {
  ledger.db.prepare("UPDATE messages SET state = 'replaced' WHERE cid = ?").run(cid);
}

/** Puts a pending message into the tipset of this epoch; false when it is pending no longer. */
export function markIncluded(ledger: Ledger, cid: string, epoch: number): boolean {
  const done = ledger.db.prepare("UPDATE messages SET state = 'included', epoch = ? WHERE cid = ? AND state = 'pending'").run(epoch, cid);
  return done.changes === 1;
}

/** Takes a message out of its tipset, back into the mempool. */
export function markPendingAgain(ledger: Ledger, cid: string): void {
  ledger.db.prepare("UPDATE messages SET state = 'pending', epoch = NULL WHERE cid = ? AND state = 'included'").run(cid);
}

export function markLanded(ledger: Ledger, cid: string, epoch: number, receipt: Receipt): void {
  ledger.db
    .prepare("UPDATE messages SET state = 'landed', epoch = ?, exit_code = ?, return_base64 = ?, gas_used = ?, reason = ? WHERE cid = ?")
    .run(epoch, receipt.exitCode, Buffer.from(receipt.returned).toString('base64'), receipt.gasUsed, receipt.reason, cid);
}

function toMessage(row: Row): MessageRow {
  return {
    cid: row.cid,
    sender: row.sender,
    nonce: row.nonce,
    signed: LotusSignedMessageSchema.parse(JSON.parse(row.signed)),
    state: row.state,
    exitCode: row.exit_code,
    returnBase64: row.return_base64,
    gasUsed: row.gas_used,
    reason: row.reason,
    epoch: row.epoch,
  };
}
