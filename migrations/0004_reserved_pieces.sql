DROP INDEX `pieces_waiting`;--> statement-breakpoint
ALTER TABLE `pieces` ADD `reserved` integer DEFAULT 0 NOT NULL;--> statement-breakpoint
CREATE INDEX `pieces_waiting` ON `pieces` (`miner`,`reserved`) WHERE job is null;--> statement-breakpoint
-- What a request named goes into no other sector once its job is given up.
UPDATE `pieces` SET `reserved` = 1
WHERE `job` IN (SELECT `id` FROM `jobs` WHERE `plan` = 'rebuild' OR (`plan` = 'snapup' AND json_extract(`data`, '$.asked.number') IS NOT NULL));
