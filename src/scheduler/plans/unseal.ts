/** The unseal plan: a sector's data, or a range of it, out of its stored files. Served as it stands by `GET /v1/plans`. */
import type { Table } from '../machine.ts';

export type UnsealState = 'Empty' | 'Allocated' | 'Unsealed' | 'Finished' | 'Aborted';

export type UnsealEvent = 'AllocatedUnsealSector' | 'UnsealDone' | 'UploadPieceDone';

export const UNSEAL = {
  Empty: { AllocatedUnsealSector: 'Allocated' },
  Allocated: { UnsealDone: 'Unsealed' },
  Unsealed: { UploadPieceDone: 'Finished' },
  Finished: {},
  Aborted: {},
} as const satisfies Table<UnsealState, UnsealEvent>;
