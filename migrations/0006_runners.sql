ALTER TABLE `attempts` ADD `progress_ms` integer;--> statement-breakpoint
ALTER TABLE `attempts` ADD `due_ms` integer;--> statement-breakpoint
CREATE INDEX `attempts_due` ON `attempts` (`due_ms`) WHERE status = 'running';--> statement-breakpoint
CREATE INDEX `attempts_runner` ON `attempts` (`runner`);--> statement-breakpoint
ALTER TABLE `runners` ADD `credential_ms` integer;--> statement-breakpoint
ALTER TABLE `runners` ADD `next_credential_seed` text;--> statement-breakpoint
ALTER TABLE `runners` ADD `next_credential_hash` text;--> statement-breakpoint
ALTER TABLE `runners` ADD `previous_credential_hash` text;--> statement-breakpoint
ALTER TABLE `runners` ADD `earlier_boots` text;--> statement-breakpoint
ALTER TABLE `runners` ADD `tests` text;--> statement-breakpoint
ALTER TABLE `runners` ADD `agent_version` text;--> statement-breakpoint
CREATE UNIQUE INDEX `runners_next_credential_hash_unique` ON `runners` (`next_credential_hash`);--> statement-breakpoint
CREATE UNIQUE INDEX `runners_previous_credential_hash_unique` ON `runners` (`previous_credential_hash`);