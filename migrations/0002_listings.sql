DROP INDEX `jobs_state`;--> statement-breakpoint
DROP INDEX `jobs_error`;--> statement-breakpoint
CREATE INDEX `jobs_listing` ON `jobs` (`seq`,`state`,`plan`,`miner`,`paused`,`error_code`);--> statement-breakpoint
CREATE INDEX `jobs_paused` ON `jobs` (`seq`,`state`,`plan`,`miner`) WHERE paused = 1;--> statement-breakpoint
CREATE INDEX `jobs_for_thread` ON `jobs` (`plan`,`seq`) WHERE waiting_for = 'thread' and paused = 0;--> statement-breakpoint
CREATE INDEX `jobs_for_thread_of_miner` ON `jobs` (`plan`,`miner`,`seq`) WHERE waiting_for = 'thread' and paused = 0;--> statement-breakpoint
CREATE INDEX `jobs_state` ON `jobs` (`state`,`seq`,`plan`,`miner`,`paused`,`error_code`);--> statement-breakpoint
CREATE INDEX `jobs_error` ON `jobs` (`error_code`,`seq`,`state`,`plan`,`miner`,`paused`) WHERE error_code is not null;