/** The three sectors that the fixtures tell about: committed capacity (7), pieces with a gap between them (8), upgraded (9). */
import { readFileSync } from 'node:fs';
import type { ParseOptions } from '../../src/import/values.ts';
import { MinerId } from '../../src/schema/ids.ts';
import { SectorRecord } from '../../src/schema/sector-record.ts';

export const OPTIONS: ParseOptions = { prefix: 't' };
export const MINER = MinerId.parse('t01000');
/** For sources that name no miner, or no seal proof. */
export const NAMED: ParseOptions = { prefix: 't', miner: MINER, sealProof: 'StackedDrg2KiBV1_1' };

/** A file of test/import/fixtures. */
export function fixture(name: string): string {
  return readFileSync(new URL(`./fixtures/${name}`, import.meta.url), 'utf8');
}

/** What every source tells, in our own form. */
export const RECORDS: readonly SectorRecord[] = fixture('sectors.jsonl')
  .trim()
  .split('\n')
  .map((line) => SectorRecord.parse(JSON.parse(line)));
