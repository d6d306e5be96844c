CREATE TABLE `storage_moves` (
	`miner` text NOT NULL,
	`number` integer NOT NULL,
	`from_storage` text NOT NULL,
	`to_storage` text NOT NULL,
	`size_bytes` integer NOT NULL,
	`phase` text NOT NULL,
	`data` text NOT NULL,
	PRIMARY KEY(`miner`, `number`)
);
