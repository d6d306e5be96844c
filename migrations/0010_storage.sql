CREATE TABLE `storage_paths` (
	`runner` text NOT NULL,
	`id` text NOT NULL,
	`seen_ms` integer NOT NULL,
	`data` text NOT NULL,
	`checking` text,
	`checking_ms` integer,
	PRIMARY KEY(`runner`, `id`)
);
--> statement-breakpoint
CREATE TABLE `storage_places` (
	`attempt` text PRIMARY KEY NOT NULL,
	`job` text NOT NULL,
	`storage` text NOT NULL,
	`size_bytes` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `storage_places_job` ON `storage_places` (`job`);--> statement-breakpoint
ALTER TABLE `sector_records` ADD `checked_ms` integer;--> statement-breakpoint
ALTER TABLE `sector_records` ADD `damage` text;--> statement-breakpoint
CREATE INDEX `sector_records_stored` ON `sector_records` (`storage`,`miner`,`number`) WHERE storage is not null;--> statement-breakpoint
CREATE INDEX `sector_records_checks` ON `sector_records` (`storage`,`checked_ms`) WHERE storage is not null;