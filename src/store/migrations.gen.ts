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
  {
    name: '0005_events_webhooks',
    statements: [
      `CREATE TABLE \`answers\` (
  \`token\` text NOT NULL,
  \`key\` text NOT NULL,
  \`request\` text NOT NULL,
  \`answer\` text,
  \`created_ms\` integer NOT NULL,
  PRIMARY KEY(\`token\`, \`key\`)
);`,
      `CREATE INDEX \`answers_age\` ON \`answers\` (\`created_ms\`);`,
      `CREATE TABLE \`deliveries\` (
  \`seq\` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
  \`id\` text NOT NULL,
  \`webhook\` text NOT NULL,
  \`message\` text NOT NULL,
  \`type\` text NOT NULL,
  \`event\` integer,
  \`status\` text NOT NULL,
  \`tries\` integer NOT NULL,
  \`due_ms\` integer NOT NULL,
  \`last_status\` integer,
  \`last_error\` text,
  \`created_ms\` integer NOT NULL,
  \`ended_ms\` integer
);`,
      `CREATE UNIQUE INDEX \`deliveries_id_unique\` ON \`deliveries\` (\`id\`);`,
      `CREATE INDEX \`deliveries_due\` ON \`deliveries\` (\`webhook\`,\`due_ms\`) WHERE status = 'open';`,
      `CREATE INDEX \`deliveries_log\` ON \`deliveries\` (\`webhook\`,\`seq\`);`,
      `CREATE INDEX \`deliveries_ended\` ON \`deliveries\` (\`ended_ms\`) WHERE status <> 'open';`,
      `CREATE TABLE \`webhooks\` (
  \`seq\` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
  \`id\` text NOT NULL,
  \`url\` text NOT NULL,
  \`description\` text NOT NULL,
  \`types\` text,
  \`miners\` text,
  \`allow_private\` integer NOT NULL,
  \`secret\` text NOT NULL,
  \`status\` text NOT NULL,
  \`reason\` text,
  \`cursor\` integer NOT NULL,
  \`version\` integer NOT NULL,
  \`failing_since_ms\` integer,
  \`created_ms\` integer NOT NULL
);`,
      `CREATE UNIQUE INDEX \`webhooks_id_unique\` ON \`webhooks\` (\`id\`);`,
      `CREATE TABLE \`__new_events\` (
  \`seq\` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
  \`job\` text,
  \`miner\` text,
  \`runner\` text,
  \`generation\` integer NOT NULL,
  \`at_ms\` integer NOT NULL,
  \`actor\` text NOT NULL,
  \`kind\` text NOT NULL,
  \`from_state\` text,
  \`to_state\` text,
  \`event\` text,
  \`detail\` text NOT NULL,
  \`request\` text,
  FOREIGN KEY (\`job\`) REFERENCES \`jobs\`(\`id\`) ON UPDATE no action ON DELETE no action
);`,
      `INSERT INTO \`__new_events\`("seq", "job", "miner", "runner", "generation", "at_ms", "actor", "kind", "from_state", "to_state", "event", "detail", "request") SELECT "seq", "job", (select "miner" from "jobs" where "jobs"."id" = "events"."job"), json_extract("detail", '$.runner'), "generation", "at_ms", "actor", "kind", "from_state", "to_state", "event", "detail", null FROM \`events\`;`,
      `DROP TABLE \`events\`;`,
      `ALTER TABLE \`__new_events\` RENAME TO \`events\`;`,
      `CREATE INDEX \`events_job\` ON \`events\` (\`job\`);`,
      `CREATE INDEX \`events_miner\` ON \`events\` (\`miner\`);`,
      `CREATE INDEX \`events_kind\` ON \`events\` (\`kind\`);`,
      `CREATE INDEX \`events_runner\` ON \`events\` (\`runner\`) WHERE runner is not null;`,
      `ALTER TABLE \`api_tokens\` ADD \`expires_ms\` integer;`,
      `ALTER TABLE \`api_tokens\` ADD \`previous_hash\` text;`,
      `ALTER TABLE \`api_tokens\` ADD \`previous_until_ms\` integer;`,
      `CREATE UNIQUE INDEX \`api_tokens_previous_hash_unique\` ON \`api_tokens\` (\`previous_hash\`);`,
      `ALTER TABLE \`attempts\` ADD \`request\` text;`,
      `ALTER TABLE \`effects\` ADD \`request\` text;`,
    ],
  },
  {
    name: '0006_runners',
    statements: [
      `ALTER TABLE \`attempts\` ADD \`progress_ms\` integer;`,
      `ALTER TABLE \`attempts\` ADD \`due_ms\` integer;`,
      `CREATE INDEX \`attempts_due\` ON \`attempts\` (\`due_ms\`) WHERE status = 'running';`,
      `CREATE INDEX \`attempts_runner\` ON \`attempts\` (\`runner\`);`,
      `ALTER TABLE \`runners\` ADD \`credential_ms\` integer;`,
      `ALTER TABLE \`runners\` ADD \`next_credential_seed\` text;`,
      `ALTER TABLE \`runners\` ADD \`next_credential_hash\` text;`,
      `ALTER TABLE \`runners\` ADD \`previous_credential_hash\` text;`,
      `ALTER TABLE \`runners\` ADD \`earlier_boots\` text;`,
      `ALTER TABLE \`runners\` ADD \`tests\` text;`,
      `ALTER TABLE \`runners\` ADD \`agent_version\` text;`,
      `CREATE UNIQUE INDEX \`runners_next_credential_hash_unique\` ON \`runners\` (\`next_credential_hash\`);`,
      `CREATE UNIQUE INDEX \`runners_previous_credential_hash_unique\` ON \`runners\` (\`previous_credential_hash\`);`,
    ],
  },
  {
    name: '0007_placement',
    statements: [
      `ALTER TABLE \`attempts\` ADD \`expected\` text;`,
      `ALTER TABLE \`jobs\` ADD \`queue_ms\` integer;`,
      `CREATE INDEX \`jobs_queue\` ON \`jobs\` (\`waiting_for\`,\`queue_ms\`,\`seq\`,\`waiting_stage\`) WHERE waiting_for = 'runner' and paused = 0;`,
      `ALTER TABLE \`runners\` ADD \`slots\` integer;`,
      `ALTER TABLE \`runners\` ADD \`stage_ms\` text;`,
      `UPDATE \`jobs\` SET \`queue_ms\` = \`waiting_ms\` WHERE \`waiting_for\` = 'runner';`,
    ],
  },
  {
    name: '0008_manifests',
    statements: [
      `CREATE TABLE \`manifests\` (
  \`key\` text PRIMARY KEY NOT NULL,
  \`part_size_bytes\` integer NOT NULL,
  \`crc32\` text NOT NULL
);`,
    ],
  },
  {
    name: '0009_artifact-caches',
    statements: [
      `ALTER TABLE \`runners\` ADD \`cached\` text;`,
    ],
  },
  {
    name: '0010_storage',
    statements: [
      `CREATE TABLE \`storage_paths\` (
  \`runner\` text NOT NULL,
  \`id\` text NOT NULL,
  \`seen_ms\` integer NOT NULL,
  \`data\` text NOT NULL,
  \`checking\` text,
  \`checking_ms\` integer,
  PRIMARY KEY(\`runner\`, \`id\`)
);`,
      `CREATE TABLE \`storage_places\` (
  \`attempt\` text PRIMARY KEY NOT NULL,
  \`job\` text NOT NULL,
  \`storage\` text NOT NULL,
  \`size_bytes\` integer NOT NULL
);`,
      `CREATE INDEX \`storage_places_job\` ON \`storage_places\` (\`job\`);`,
      `ALTER TABLE \`sector_records\` ADD \`checked_ms\` integer;`,
      `ALTER TABLE \`sector_records\` ADD \`damage\` text;`,
      `CREATE INDEX \`sector_records_stored\` ON \`sector_records\` (\`storage\`,\`miner\`,\`number\`) WHERE storage is not null;`,
      `CREATE INDEX \`sector_records_checks\` ON \`sector_records\` (\`storage\`,\`checked_ms\`) WHERE storage is not null;`,
    ],
  },
  {
    name: '0011_declared',
    statements: [
      `ALTER TABLE \`sector_records\` ADD \`declared\` integer;`,
      `CREATE INDEX \`sector_records_undeclared\` ON \`sector_records\` (\`storage\`) WHERE declared = 0;`,
      `-- Nobody was told of what was sealed here till now.
UPDATE \`sector_records\` SET \`declared\` = 0 WHERE \`storage\` IS NOT NULL AND json_extract(\`data\`, '$.source') = 'sealed';`,
    ],
  },
  {
    name: '0012_storage-moves',
    statements: [
      `CREATE TABLE \`storage_moves\` (
  \`miner\` text NOT NULL,
  \`number\` integer NOT NULL,
  \`from_storage\` text NOT NULL,
  \`to_storage\` text NOT NULL,
  \`size_bytes\` integer NOT NULL,
  \`phase\` text NOT NULL,
  \`data\` text NOT NULL,
  PRIMARY KEY(\`miner\`, \`number\`)
);`,
    ],
  },
  {
    name: '0013_rented_runners',
    statements: [
      `CREATE INDEX \`runners_rented\` ON \`runners\` (\`last_seen_ms\`) WHERE "runners"."trust" = 'rented' and "runners"."status" = 'ready';`,
    ],
  },
  {
    name: '0014_silent_runners',
    statements: [
      `ALTER TABLE \`runners\` ADD \`silent_since_ms\` integer;`,
    ],
  },
  {
    name: '0015_queue_by_stage',
    statements: [
      `DROP INDEX \`jobs_queue\`;`,
      `CREATE INDEX \`jobs_queue\` ON \`jobs\` (\`waiting_stage\`,\`queue_ms\`,\`seq\`) WHERE waiting_for = 'runner' and paused = 0;`,
    ],
  },
];
