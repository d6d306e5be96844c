/** What importing and exporting sectors asks and answers. */
import { z } from 'zod';
import { MinerId } from '../schema/ids.ts';
import { PlacedPiece, SectorRecord } from '../schema/sector-record.ts';

/** Records of one request: with many pieces each they stay below the limit of its body. */
export const MAX_IMPORT_RECORDS = 500;

/** A sector has room for 2^29 smallest pieces; so many in one would be no sector's. */
const Pieces = z.array(PlacedPiece).max(4_096);

/** A record from elsewhere: `sealed` is ours to say. */
const ImportedRecord = SectorRecord.extend({
  number: z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER),
  pieces: Pieces,
  update: SectorRecord.shape.update.unwrap().extend({ pieces: Pieces }).nullable(),
  source: z.enum(['lotus', 'damocles', 'curio', 'csv', 'sealpool']),
});

export const ImportRequest = z.strictObject({ records: z.array(ImportedRecord).max(MAX_IMPORT_RECORDS) });

/** `unchanged`: known already. A refused sector has its reason; the others of the page are taken. */
export const ImportAnswer = z.object({
  imported: z.number().int(),
  unchanged: z.number().int(),
  refused: z.array(z.object({ sector: z.string(), reason: z.string() })),
});
export type ImportAnswer = z.infer<typeof ImportAnswer>;

export const ExportQuery = z.strictObject({
  miner: MinerId.optional(),
  cursor: z
    .string()
    .regex(/^[tf]0[0-9]{1,19}\/[0-9]{1,16}$/, 'not where a page of this listing ended; leave it out to begin anew')
    .optional(),
  limit: z.coerce.number().int().min(1).max(1_000).default(500),
});

export const SectorRecordPage = z.object({ items: z.array(SectorRecord), cursor: z.string().nullable() });
export type SectorRecordPage = z.infer<typeof SectorRecordPage>;
