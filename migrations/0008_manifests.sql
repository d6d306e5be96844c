CREATE TABLE `manifests` (
	`key` text PRIMARY KEY NOT NULL,
	`part_size_bytes` integer NOT NULL,
	`crc32` text NOT NULL
);
