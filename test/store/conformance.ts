/**
 * What every store must do, whichever engine it runs on. An adapter's test calls `storeConformance` once;
 * the parts stand in `conformance/`.
 */
import type { Store } from '../../src/scheduler/ports.ts';
import { jobsConformance } from './conformance/jobs.ts';
import { minerStorageConformance } from './conformance/miner-storage.ts';
import { outboxConformance } from './conformance/outbox.ts';
import { rowsConformance } from './conformance/rows.ts';
import { sectorRecordsConformance } from './conformance/sector-records.ts';
import { transactionConformance } from './conformance/transaction.ts';

/** One fresh database. Each `use` opens it again: what an earlier one committed must be there. */
export type Database = { use<T>(body: (store: Store) => Promise<T>): Promise<T> };

/** Declares the suite's tests; `fresh` makes an empty database and removes it after the test. */
export function storeConformance(fresh: () => Database): void {
  transactionConformance(fresh);
  jobsConformance(fresh);
  sectorRecordsConformance(fresh);
  minerStorageConformance(fresh);
  rowsConformance(fresh);
  outboxConformance(fresh);
}
