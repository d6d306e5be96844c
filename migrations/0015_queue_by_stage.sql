DROP INDEX `jobs_queue`;--> statement-breakpoint
CREATE INDEX `jobs_queue` ON `jobs` (`waiting_stage`,`queue_ms`,`seq`) WHERE waiting_for = 'runner' and paused = 0;