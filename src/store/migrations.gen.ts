/** Made by scripts/generate-migrations.ts from migrations/*.sql: change the tables, then generate both. */
import type { Migration } from './migrate.ts';

/** In the order they are applied. */
export const MIGRATIONS: readonly Migration[] = [
  {
    name: '0000_first',
    statements: [
      `CREATE TABLE \`api_tokens\` (
  \`seq\` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
  \`id\` text NOT NULL,
  \`hash\` text NOT NULL,
  \`name\` text NOT NULL,
  \`role\` text NOT NULL,
  \`miners\` text,
  \`created_ms\` integer NOT NULL,
  \`revoked_ms\` integer
);`,
      `CREATE UNIQUE INDEX \`api_tokens_id_unique\` ON \`api_tokens\` (\`id\`);`,
      `CREATE UNIQUE INDEX \`api_tokens_hash_unique\` ON \`api_tokens\` (\`hash\`);`,
      `CREATE TABLE \`attempts\` (
  \`seq\` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
  \`id\` text NOT NULL,
  \`job\` text NOT NULL,
  \`stage\` text NOT NULL,
  \`state\` text NOT NULL,
  \`generation\` integer NOT NULL,
  \`epoch\` integer NOT NULL,
  \`runner\` text NOT NULL,
  \`status\` text NOT NULL,
  \`lease_until_ms\` integer NOT NULL,
  \`granted_ms\` integer NOT NULL,
  \`ended_ms\` integer,
  \`fraction\` real,
  \`seconds_left\` real,
  \`note\` text,
  \`log_tail\` text NOT NULL,
  \`failure\` text,
  FOREIGN KEY (\`job\`) REFERENCES \`jobs\`(\`id\`) ON UPDATE no action ON DELETE no action
);`,
      `CREATE UNIQUE INDEX \`attempts_id_unique\` ON \`attempts\` (\`id\`);`,
      `CREATE UNIQUE INDEX \`attempts_epoch\` ON \`attempts\` (\`job\`,\`stage\`,\`epoch\`);`,
      `CREATE INDEX \`attempts_running\` ON \`attempts\` (\`runner\`) WHERE status = 'running';`,
      `CREATE INDEX \`attempts_lease\` ON \`attempts\` (\`lease_until_ms\`) WHERE status = 'running';`,
      `CREATE TABLE \`effects\` (
  \`seq\` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
  \`id\` text NOT NULL,
  \`job\` text,
  \`step\` text NOT NULL,
  \`generation\` integer NOT NULL,
  \`try\` integer NOT NULL,
  \`want\` text NOT NULL,
  \`status\` text NOT NULL,
  \`sender\` text,
  \`nonce\` integer,
  \`message_cid\` text,
  \`signed\` text,
  \`pushed\` integer NOT NULL,
  \`due_ms\` integer NOT NULL,
  \`failures\` integer NOT NULL,
  \`last_error\` text,
  \`created_ms\` integer NOT NULL
);`,
      `CREATE UNIQUE INDEX \`effects_id_unique\` ON \`effects\` (\`id\`);`,
      `CREATE UNIQUE INDEX \`effects_once\` ON \`effects\` (\`job\`,\`step\`,\`generation\`,\`try\`);`,
      `CREATE INDEX \`effects_due\` ON \`effects\` (\`due_ms\`) WHERE status = 'open';`,
      `CREATE INDEX \`effects_nonce\` ON \`effects\` (\`sender\`,\`nonce\`) WHERE sender is not null;`,
      `CREATE INDEX \`effects_unpushed\` ON \`effects\` (\`sender\`,\`nonce\`) WHERE status = 'open' and pushed = 0;`,
      `CREATE TABLE \`events\` (
  \`seq\` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
  \`job\` text NOT NULL,
  \`generation\` integer NOT NULL,
  \`at_ms\` integer NOT NULL,
  \`actor\` text NOT NULL,
  \`kind\` text NOT NULL,
  \`from_state\` text,
  \`to_state\` text,
  \`event\` text,
  \`detail\` text NOT NULL,
  FOREIGN KEY (\`job\`) REFERENCES \`jobs\`(\`id\`) ON UPDATE no action ON DELETE no action
);`,
      `CREATE INDEX \`events_job\` ON \`events\` (\`job\`);`,
      `CREATE TABLE \`jobs\` (
  \`seq\` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
  \`id\` text NOT NULL,
  \`plan\` text NOT NULL,
  \`miner\` text NOT NULL,
  \`number\` integer,
  \`state\` text NOT NULL,
  \`generation\` integer NOT NULL,
  \`paused\` integer NOT NULL,
  \`error_category\` text,
  \`error_code\` text,
  \`error_message\` text,
  \`error_at_ms\` integer,
  \`retries\` integer NOT NULL,
  \`waiting_for\` text NOT NULL,
  \`waiting_stage\` text,
  \`waiting_id\` text,
  \`waiting_ms\` integer,
  \`thread\` text,
  \`reserved_runner\` text,
  \`reserved_until_ms\` integer,
  \`created_ms\` integer NOT NULL,
  \`updated_ms\` integer NOT NULL,
  \`data\` text NOT NULL
);`,
      `CREATE UNIQUE INDEX \`jobs_id_unique\` ON \`jobs\` (\`id\`);`,
      `CREATE UNIQUE INDEX \`jobs_one_live_per_sector\` ON \`jobs\` (\`miner\`,\`number\`) WHERE number is not null and state not in ('Finished', 'Aborted');`,
      `CREATE INDEX \`jobs_sector\` ON \`jobs\` (\`miner\`,\`number\`);`,
      `CREATE INDEX \`jobs_state\` ON \`jobs\` (\`state\`,\`paused\`);`,
      `CREATE INDEX \`jobs_error\` ON \`jobs\` (\`error_code\`) WHERE error_code is not null;`,
      `CREATE INDEX \`jobs_waiting\` ON \`jobs\` (\`waiting_for\`,\`waiting_ms\`,\`waiting_stage\`) WHERE paused = 0;`,
      `CREATE INDEX \`jobs_reserved\` ON \`jobs\` (\`reserved_runner\`,\`reserved_until_ms\`) WHERE reserved_runner is not null;`,
      `CREATE TABLE \`join_tokens\` (
  \`hash\` text PRIMARY KEY NOT NULL,
  \`trust\` text NOT NULL,
  \`labels\` text NOT NULL,
  \`expires_ms\` integer NOT NULL,
  \`used_by\` text
);`,
      `CREATE TABLE \`meta\` (
  \`key\` text PRIMARY KEY NOT NULL,
  \`value\` text NOT NULL
);`,
      `CREATE TABLE \`pieces\` (
  \`seq\` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
  \`id\` text NOT NULL,
  \`miner\` text NOT NULL,
  \`key\` text NOT NULL,
  \`size_bytes\` text NOT NULL,
  \`hash\` text NOT NULL,
  \`padded_size_bytes\` text NOT NULL,
  \`cid\` text,
  \`job\` text,
  \`created_ms\` integer NOT NULL
);`,
      `CREATE UNIQUE INDEX \`pieces_id_unique\` ON \`pieces\` (\`id\`);`,
      `CREATE INDEX \`pieces_waiting\` ON \`pieces\` (\`miner\`) WHERE job is null;`,
      `CREATE TABLE \`runners\` (
  \`seq\` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
  \`id\` text NOT NULL,
  \`name\` text NOT NULL,
  \`trust\` text NOT NULL,
  \`labels\` text NOT NULL,
  \`stages\` text NOT NULL,
  \`storage\` text NOT NULL,
  \`resources\` text NOT NULL,
  \`credential_hash\` text NOT NULL,
  \`boot_id\` text NOT NULL,
  \`status\` text NOT NULL,
  \`reason\` text,
  \`strikes\` integer NOT NULL,
  \`last_seen_ms\` integer NOT NULL,
  \`registered_ms\` integer NOT NULL
);`,
      `CREATE UNIQUE INDEX \`runners_id_unique\` ON \`runners\` (\`id\`);`,
      `CREATE UNIQUE INDEX \`runners_credential_hash_unique\` ON \`runners\` (\`credential_hash\`);`,
      `CREATE TABLE \`threads\` (
  \`id\` text PRIMARY KEY NOT NULL,
  \`worker\` text NOT NULL,
  \`position\` integer NOT NULL,
  \`plan\` text NOT NULL,
  \`miner\` text,
  \`auto\` integer NOT NULL,
  \`enabled\` integer NOT NULL,
  \`job\` text
);`,
      `CREATE TABLE \`uploads\` (
  \`attempt\` text NOT NULL,
  \`name\` text NOT NULL,
  \`key\` text NOT NULL,
  \`upload_id\` text NOT NULL,
  PRIMARY KEY(\`attempt\`, \`name\`),
  FOREIGN KEY (\`attempt\`) REFERENCES \`attempts\`(\`id\`) ON UPDATE no action ON DELETE no action
);`,
    ],
  },
  {
    name: '0001_sector_records',
    statements: [
      `CREATE TABLE \`sector_records\` (
  \`miner\` text NOT NULL,
  \`number\` integer NOT NULL,
  \`cc\` integer NOT NULL,
  \`storage\` text,
  \`data\` text NOT NULL,
  PRIMARY KEY(\`miner\`, \`number\`)
);`,
      `CREATE INDEX \`sector_records_snap\` ON \`sector_records\` (\`miner\`,\`number\`) WHERE cc = 1 and storage is not null;`,
      `CREATE INDEX \`jobs_live\` ON \`jobs\` (\`seq\`) WHERE state not in ('Finished', 'Aborted');`,
      `CREATE INDEX \`threads_free\` ON \`threads\` (\`worker\`,\`position\`) WHERE enabled = 1 and job is null;`,
    ],
  },
  {
    name: '0002_listings',
    statements: [
      `DROP INDEX \`jobs_state\`;`,
      `DROP INDEX \`jobs_error\`;`,
      `CREATE INDEX \`jobs_listing\` ON \`jobs\` (\`seq\`,\`state\`,\`plan\`,\`miner\`,\`paused\`,\`error_code\`);`,
      `CREATE INDEX \`jobs_paused\` ON \`jobs\` (\`seq\`,\`state\`,\`plan\`,\`miner\`) WHERE paused = 1;`,
      `CREATE INDEX \`jobs_for_thread\` ON \`jobs\` (\`plan\`,\`seq\`) WHERE waiting_for = 'thread' and paused = 0;`,
      `CREATE INDEX \`jobs_for_thread_of_miner\` ON \`jobs\` (\`plan\`,\`miner\`,\`seq\`) WHERE waiting_for = 'thread' and paused = 0;`,
      `CREATE INDEX \`jobs_state\` ON \`jobs\` (\`state\`,\`seq\`,\`plan\`,\`miner\`,\`paused\`,\`error_code\`);`,
      `CREATE INDEX \`jobs_error\` ON \`jobs\` (\`error_code\`,\`seq\`,\`state\`,\`plan\`,\`miner\`,\`paused\`) WHERE error_code is not null;`,
    ],
  },
  {
    name: '0003_records_of_sealed',
    statements: [
      `-- Sectors that were sealed before records were kept.
INSERT INTO \`sector_records\` (\`miner\`, \`number\`, \`cc\`, \`storage\`, \`data\`)
SELECT \`miner\`, \`number\`, json_array_length(\`data\`, '$.pieces') = 0, json_extract(\`data\`, '$.stored.storage'),
  json_object(
    'miner', \`miner\`,
    'number', \`number\`,
    'sealProof', json_extract(\`data\`, '$.sealProof'),
    'ticket', json(json_extract(\`data\`, '$.ticket')),
    'commD', json(json_extract(\`data\`, '$.commD')),
    'commR', json(json_extract(\`data\`, '$.commR')),
    'pieces', CASE json_array_length(\`data\`, '$.pieces') WHEN 0 THEN json('[]') ELSE json(json_extract(\`data\`, '$.layout')) END,
    'update', NULL,
    'files', json(json_extract(\`data\`, '$.stored')),
    'preCommit', json_extract(\`data\`, '$.preCommit.cid'),
    'proveCommit', json_extract(\`data\`, '$.proveCommit.cid'),
    'replicaUpdate', NULL,
    'source', 'sealed'
  )
FROM \`jobs\`
WHERE \`plan\` = 'sealer' AND \`state\` = 'Finished' AND \`number\` IS NOT NULL AND json_extract(\`data\`, '$.commR') IS NOT NULL
ON CONFLICT DO NOTHING;`,
    ],
  },
  {
    name: '0004_reserved_pieces',
    statements: [
      `DROP INDEX \`pieces_waiting\`;`,
      `ALTER TABLE \`pieces\` ADD \`reserved\` integer DEFAULT 0 NOT NULL;`,
      `CREATE INDEX \`pieces_waiting\` ON \`pieces\` (\`miner\`,\`reserved\`) WHERE job is null;`,
      `-- What a request named goes into no other sector once its job is given up.
UPDATE \`pieces\` SET \`reserved\` = 1
WHERE \`job\` IN (SELECT \`id\` FROM \`jobs\` WHERE \`plan\` = 'rebuild' OR (\`plan\` = 'snapup' AND json_extract(\`data\`, '$.asked.number') IS NOT NULL));`,
    ],
  },
];
