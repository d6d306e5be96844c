ALTER TABLE `attempts` ADD `expected` text;--> statement-breakpoint
ALTER TABLE `jobs` ADD `queue_ms` integer;--> statement-breakpoint
CREATE INDEX `jobs_queue` ON `jobs` (`waiting_for`,`queue_ms`,`seq`,`waiting_stage`) WHERE waiting_for = 'runner' and paused = 0;--> statement-breakpoint
ALTER TABLE `runners` ADD `slots` integer;--> statement-breakpoint
ALTER TABLE `runners` ADD `stage_ms` text;--> statement-breakpoint
UPDATE `jobs` SET `queue_ms` = `waiting_ms` WHERE `waiting_for` = 'runner';