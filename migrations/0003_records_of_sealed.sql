-- Sectors that were sealed before records were kept.
INSERT INTO `sector_records` (`miner`, `number`, `cc`, `storage`, `data`)
SELECT `miner`, `number`, json_array_length(`data`, '$.pieces') = 0, json_extract(`data`, '$.stored.storage'),
	json_object(
		'miner', `miner`,
		'number', `number`,
		'sealProof', json_extract(`data`, '$.sealProof'),
		'ticket', json(json_extract(`data`, '$.ticket')),
		'commD', json(json_extract(`data`, '$.commD')),
		'commR', json(json_extract(`data`, '$.commR')),
		'pieces', CASE json_array_length(`data`, '$.pieces') WHEN 0 THEN json('[]') ELSE json(json_extract(`data`, '$.layout')) END,
		'update', NULL,
		'files', json(json_extract(`data`, '$.stored')),
		'preCommit', json_extract(`data`, '$.preCommit.cid'),
		'proveCommit', json_extract(`data`, '$.proveCommit.cid'),
		'replicaUpdate', NULL,
		'source', 'sealed'
	)
FROM `jobs`
WHERE `plan` = 'sealer' AND `state` = 'Finished' AND `number` IS NOT NULL AND json_extract(`data`, '$.commR') IS NOT NULL
ON CONFLICT DO NOTHING;
