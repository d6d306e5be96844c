CREATE TABLE `answers` (
	`token` text NOT NULL,
	`key` text NOT NULL,
	`request` text NOT NULL,
	`answer` text,
	`created_ms` integer NOT NULL,
	PRIMARY KEY(`token`, `key`)
);
--> statement-breakpoint
CREATE INDEX `answers_age` ON `answers` (`created_ms`);--> statement-breakpoint
CREATE TABLE `deliveries` (
	`seq` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`id` text NOT NULL,
	`webhook` text NOT NULL,
	`message` text NOT NULL,
	`type` text NOT NULL,
	`event` integer,
	`status` text NOT NULL,
	`tries` integer NOT NULL,
	`due_ms` integer NOT NULL,
	`last_status` integer,
	`last_error` text,
	`created_ms` integer NOT NULL,
	`ended_ms` integer
);
--> statement-breakpoint
CREATE UNIQUE INDEX `deliveries_id_unique` ON `deliveries` (`id`);--> statement-breakpoint
CREATE INDEX `deliveries_due` ON `deliveries` (`webhook`,`due_ms`) WHERE status = 'open';--> statement-breakpoint
CREATE INDEX `deliveries_log` ON `deliveries` (`webhook`,`seq`);--> statement-breakpoint
CREATE INDEX `deliveries_ended` ON `deliveries` (`ended_ms`) WHERE status <> 'open';--> statement-breakpoint
CREATE TABLE `webhooks` (
	`seq` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`id` text NOT NULL,
	`url` text NOT NULL,
	`description` text NOT NULL,
	`types` text,
	`miners` text,
	`allow_private` integer NOT NULL,
	`secret` text NOT NULL,
	`status` text NOT NULL,
	`reason` text,
	`cursor` integer NOT NULL,
	`version` integer NOT NULL,
	`failing_since_ms` integer,
	`created_ms` integer NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `webhooks_id_unique` ON `webhooks` (`id`);--> statement-breakpoint
CREATE TABLE `__new_events` (
	`seq` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`job` text,
	`miner` text,
	`runner` text,
	`generation` integer NOT NULL,
	`at_ms` integer NOT NULL,
	`actor` text NOT NULL,
	`kind` text NOT NULL,
	`from_state` text,
	`to_state` text,
	`event` text,
	`detail` text NOT NULL,
	`request` text,
	FOREIGN KEY (`job`) REFERENCES `jobs`(`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
INSERT INTO `__new_events`("seq", "job", "miner", "runner", "generation", "at_ms", "actor", "kind", "from_state", "to_state", "event", "detail", "request") SELECT "seq", "job", (select "miner" from "jobs" where "jobs"."id" = "events"."job"), json_extract("detail", '$.runner'), "generation", "at_ms", "actor", "kind", "from_state", "to_state", "event", "detail", null FROM `events`;--> statement-breakpoint
DROP TABLE `events`;--> statement-breakpoint
ALTER TABLE `__new_events` RENAME TO `events`;--> statement-breakpoint
CREATE INDEX `events_job` ON `events` (`job`);--> statement-breakpoint
CREATE INDEX `events_miner` ON `events` (`miner`);--> statement-breakpoint
CREATE INDEX `events_kind` ON `events` (`kind`);--> statement-breakpoint
CREATE INDEX `events_runner` ON `events` (`runner`) WHERE runner is not null;--> statement-breakpoint
ALTER TABLE `api_tokens` ADD `expires_ms` integer;--> statement-breakpoint
ALTER TABLE `api_tokens` ADD `previous_hash` text;--> statement-breakpoint
ALTER TABLE `api_tokens` ADD `previous_until_ms` integer;--> statement-breakpoint
CREATE UNIQUE INDEX `api_tokens_previous_hash_unique` ON `api_tokens` (`previous_hash`);--> statement-breakpoint
ALTER TABLE `attempts` ADD `request` text;--> statement-breakpoint
ALTER TABLE `effects` ADD `request` text;