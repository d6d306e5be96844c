CREATE TABLE `api_tokens` (
	`seq` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`id` text NOT NULL,
	`hash` text NOT NULL,
	`name` text NOT NULL,
	`role` text NOT NULL,
	`miners` text,
	`created_ms` integer NOT NULL,
	`revoked_ms` integer
);
--> statement-breakpoint
CREATE UNIQUE INDEX `api_tokens_id_unique` ON `api_tokens` (`id`);--> statement-breakpoint
CREATE UNIQUE INDEX `api_tokens_hash_unique` ON `api_tokens` (`hash`);--> statement-breakpoint
CREATE TABLE `attempts` (
	`seq` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`id` text NOT NULL,
	`job` text NOT NULL,
	`stage` text NOT NULL,
	`state` text NOT NULL,
	`generation` integer NOT NULL,
	`epoch` integer NOT NULL,
	`runner` text NOT NULL,
	`status` text NOT NULL,
	`lease_until_ms` integer NOT NULL,
	`granted_ms` integer NOT NULL,
	`ended_ms` integer,
	`fraction` real,
	`seconds_left` real,
	`note` text,
	`log_tail` text NOT NULL,
	`failure` text,
	FOREIGN KEY (`job`) REFERENCES `jobs`(`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE UNIQUE INDEX `attempts_id_unique` ON `attempts` (`id`);--> statement-breakpoint
CREATE UNIQUE INDEX `attempts_epoch` ON `attempts` (`job`,`stage`,`epoch`);--> statement-breakpoint
CREATE INDEX `attempts_running` ON `attempts` (`runner`) WHERE status = 'running';--> statement-breakpoint
CREATE INDEX `attempts_lease` ON `attempts` (`lease_until_ms`) WHERE status = 'running';--> statement-breakpoint
CREATE TABLE `effects` (
	`seq` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`id` text NOT NULL,
	`job` text,
	`step` text NOT NULL,
	`generation` integer NOT NULL,
	`try` integer NOT NULL,
	`want` text NOT NULL,
	`status` text NOT NULL,
	`sender` text,
	`nonce` integer,
	`message_cid` text,
	`signed` text,
	`pushed` integer NOT NULL,
	`due_ms` integer NOT NULL,
	`failures` integer NOT NULL,
	`last_error` text,
	`created_ms` integer NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `effects_id_unique` ON `effects` (`id`);--> statement-breakpoint
CREATE UNIQUE INDEX `effects_once` ON `effects` (`job`,`step`,`generation`,`try`);--> statement-breakpoint
CREATE INDEX `effects_due` ON `effects` (`due_ms`) WHERE status = 'open';--> statement-breakpoint
CREATE INDEX `effects_nonce` ON `effects` (`sender`,`nonce`) WHERE sender is not null;--> statement-breakpoint
CREATE INDEX `effects_unpushed` ON `effects` (`sender`,`nonce`) WHERE status = 'open' and pushed = 0;--> statement-breakpoint
CREATE TABLE `events` (
	`seq` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`job` text NOT NULL,
	`generation` integer NOT NULL,
	`at_ms` integer NOT NULL,
	`actor` text NOT NULL,
	`kind` text NOT NULL,
	`from_state` text,
	`to_state` text,
	`event` text,
	`detail` text NOT NULL,
	FOREIGN KEY (`job`) REFERENCES `jobs`(`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE INDEX `events_job` ON `events` (`job`);--> statement-breakpoint
CREATE TABLE `jobs` (
	`seq` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`id` text NOT NULL,
	`plan` text NOT NULL,
	`miner` text NOT NULL,
	`number` integer,
	`state` text NOT NULL,
	`generation` integer NOT NULL,
	`paused` integer NOT NULL,
	`error_category` text,
	`error_code` text,
	`error_message` text,
	`error_at_ms` integer,
	`retries` integer NOT NULL,
	`waiting_for` text NOT NULL,
	`waiting_stage` text,
	`waiting_id` text,
	`waiting_ms` integer,
	`thread` text,
	`reserved_runner` text,
	`reserved_until_ms` integer,
	`created_ms` integer NOT NULL,
	`updated_ms` integer NOT NULL,
	`data` text NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `jobs_id_unique` ON `jobs` (`id`);--> statement-breakpoint
CREATE UNIQUE INDEX `jobs_one_live_per_sector` ON `jobs` (`miner`,`number`) WHERE number is not null and state not in ('Finished', 'Aborted');--> statement-breakpoint
CREATE INDEX `jobs_sector` ON `jobs` (`miner`,`number`);--> statement-breakpoint
CREATE INDEX `jobs_state` ON `jobs` (`state`,`paused`);--> statement-breakpoint
CREATE INDEX `jobs_error` ON `jobs` (`error_code`) WHERE error_code is not null;--> statement-breakpoint
CREATE INDEX `jobs_waiting` ON `jobs` (`waiting_for`,`waiting_ms`,`waiting_stage`) WHERE paused = 0;--> statement-breakpoint
CREATE INDEX `jobs_reserved` ON `jobs` (`reserved_runner`,`reserved_until_ms`) WHERE reserved_runner is not null;--> statement-breakpoint
CREATE TABLE `join_tokens` (
	`hash` text PRIMARY KEY NOT NULL,
	`trust` text NOT NULL,
	`labels` text NOT NULL,
	`expires_ms` integer NOT NULL,
	`used_by` text
);
--> statement-breakpoint
CREATE TABLE `meta` (
	`key` text PRIMARY KEY NOT NULL,
	`value` text NOT NULL
);
--> statement-breakpoint
CREATE TABLE `pieces` (
	`seq` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`id` text NOT NULL,
	`miner` text NOT NULL,
	`key` text NOT NULL,
	`size_bytes` text NOT NULL,
	`hash` text NOT NULL,
	`padded_size_bytes` text NOT NULL,
	`cid` text,
	`job` text,
	`created_ms` integer NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `pieces_id_unique` ON `pieces` (`id`);--> statement-breakpoint
CREATE INDEX `pieces_waiting` ON `pieces` (`miner`) WHERE job is null;--> statement-breakpoint
CREATE TABLE `runners` (
	`seq` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`id` text NOT NULL,
	`name` text NOT NULL,
	`trust` text NOT NULL,
	`labels` text NOT NULL,
	`stages` text NOT NULL,
	`storage` text NOT NULL,
	`resources` text NOT NULL,
	`credential_hash` text NOT NULL,
	`boot_id` text NOT NULL,
	`status` text NOT NULL,
	`reason` text,
	`strikes` integer NOT NULL,
	`last_seen_ms` integer NOT NULL,
	`registered_ms` integer NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `runners_id_unique` ON `runners` (`id`);--> statement-breakpoint
CREATE UNIQUE INDEX `runners_credential_hash_unique` ON `runners` (`credential_hash`);--> statement-breakpoint
CREATE TABLE `threads` (
	`id` text PRIMARY KEY NOT NULL,
	`worker` text NOT NULL,
	`position` integer NOT NULL,
	`plan` text NOT NULL,
	`miner` text,
	`auto` integer NOT NULL,
	`enabled` integer NOT NULL,
	`job` text
);
--> statement-breakpoint
CREATE TABLE `uploads` (
	`attempt` text NOT NULL,
	`name` text NOT NULL,
	`key` text NOT NULL,
	`upload_id` text NOT NULL,
	PRIMARY KEY(`attempt`, `name`),
	FOREIGN KEY (`attempt`) REFERENCES `attempts`(`id`) ON UPDATE no action ON DELETE no action
);
