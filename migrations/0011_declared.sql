ALTER TABLE `sector_records` ADD `declared` integer;--> statement-breakpoint
CREATE INDEX `sector_records_undeclared` ON `sector_records` (`storage`) WHERE declared = 0;--> statement-breakpoint
-- Nobody was told of what was sealed here till now.
UPDATE `sector_records` SET `declared` = 0 WHERE `storage` IS NOT NULL AND json_extract(`data`, '$.source') = 'sealed';
