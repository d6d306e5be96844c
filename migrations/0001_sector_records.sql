CREATE TABLE `sector_records` (
	`miner` text NOT NULL,
	`number` integer NOT NULL,
	`cc` integer NOT NULL,
	`storage` text,
	`data` text NOT NULL,
	PRIMARY KEY(`miner`, `number`)
);
--> statement-breakpoint
CREATE INDEX `sector_records_snap` ON `sector_records` (`miner`,`number`) WHERE cc = 1 and storage is not null;--> statement-breakpoint
CREATE INDEX `jobs_live` ON `jobs` (`seq`) WHERE state not in ('Finished', 'Aborted');--> statement-breakpoint
CREATE INDEX `threads_free` ON `threads` (`worker`,`position`) WHERE enabled = 1 and job is null;