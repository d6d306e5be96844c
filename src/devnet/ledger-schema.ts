/**
 * The ledger's tables, one step per version. A new ledger takes all steps, an older one those it lacks, so
 * that both end alike.
 */

const VERSION_1 = `
  CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE accounts (
    id INTEGER PRIMARY KEY, address TEXT NOT NULL UNIQUE, private_key TEXT NOT NULL,
    balance TEXT NOT NULL, nonce INTEGER NOT NULL
  );
  CREATE TABLE miners (
    id INTEGER PRIMARY KEY, sector_size_bytes INTEGER NOT NULL, owner INTEGER NOT NULL, worker INTEGER NOT NULL,
    balance TEXT NOT NULL, locked TEXT NOT NULL
  );
  CREATE TABLE messages (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, cid TEXT NOT NULL UNIQUE, unsigned_cid TEXT NOT NULL,
    sender TEXT NOT NULL, nonce INTEGER NOT NULL, signed TEXT NOT NULL, state TEXT NOT NULL,
    exit_code INTEGER, return_base64 TEXT, gas_used INTEGER, reason TEXT, epoch INTEGER
  );
  CREATE INDEX messages_pending ON messages (sender, nonce) WHERE state = 'pending';
  CREATE INDEX messages_unsigned ON messages (unsigned_cid);
  CREATE UNIQUE INDEX messages_landed ON messages (sender, nonce) WHERE state = 'landed';
  CREATE TABLE sectors (
    miner INTEGER NOT NULL, number INTEGER NOT NULL, status TEXT NOT NULL, seal_proof INTEGER NOT NULL,
    comm_r TEXT NOT NULL, comm_d TEXT NOT NULL, comm_d_given INTEGER NOT NULL, ticket_epoch INTEGER NOT NULL,
    expiration INTEGER NOT NULL, pre_commit_epoch INTEGER NOT NULL, deposit TEXT NOT NULL,
    activation_epoch INTEGER, pledge TEXT, PRIMARY KEY (miner, number)
  ) WITHOUT ROWID;
  CREATE INDEX sectors_unproven ON sectors (pre_commit_epoch) WHERE status = 'pre-committed';
`;

/**
 * Replica updates, deadlines and Window PoSt. Sectors of version 1 stand where its StateSectorPartition
 * said, in partitions of two, and prove themselves in the next window. Their pieces were not kept: one
 * whose CommD was given is taken as full of data.
 */
const VERSION_2 = `
  ALTER TABLE miners ADD COLUMN misses_post INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE sectors ADD COLUMN sector_key TEXT;
  ALTER TABLE sectors ADD COLUMN piece_bytes INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE sectors ADD COLUMN power_base_epoch INTEGER;
  ALTER TABLE sectors ADD COLUMN deadline INTEGER;
  ALTER TABLE sectors ADD COLUMN partition_index INTEGER;
  ALTER TABLE sectors ADD COLUMN post TEXT;
  UPDATE sectors SET status = 'activated', power_base_epoch = activation_epoch, post = 'unproven' WHERE status = 'proven';
  UPDATE sectors SET piece_bytes = (SELECT sector_size_bytes FROM miners WHERE id = miner)
    WHERE status = 'activated' AND comm_d_given = 1;
  UPDATE sectors SET deadline = placed.deadline, partition_index = placed.partition_index FROM (
    SELECT miner, number, number % 48 AS deadline,
      (row_number() OVER (PARTITION BY miner, number % 48 ORDER BY number) - 1) / 2 AS partition_index
    FROM sectors WHERE status = 'activated'
  ) AS placed WHERE sectors.miner = placed.miner AND sectors.number = placed.number;
  CREATE INDEX sectors_by_deadline ON sectors (miner, deadline, post) WHERE status = 'activated';
`;

/**
 * A tipset's messages are executed as the next one is made, so that the head's state is that before its own
 * messages. Version 2 had executed them already: its state is that of a head one epoch later. A message's
 * epoch stays that of its tipset. What accounts had at earlier heads is kept from now on.
 */
const VERSION_3 = `
  CREATE INDEX messages_included ON messages (sender, nonce) WHERE state = 'included';
  CREATE INDEX messages_by_epoch ON messages (epoch) WHERE epoch IS NOT NULL;
  CREATE TABLE account_states (
    account INTEGER NOT NULL, epoch INTEGER NOT NULL, balance TEXT NOT NULL, nonce INTEGER NOT NULL,
    PRIMARY KEY (account, epoch)
  ) WITHOUT ROWID;
  UPDATE meta SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT) WHERE key = 'epoch';
`;

/** Step `n` leads from version `n` to `n + 1`; version 0 is an empty file. */
export const SCHEMA_STEPS: readonly string[] = [VERSION_1, VERSION_2, VERSION_3];
