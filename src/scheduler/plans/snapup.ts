/** The snapup plan: data into an existing CC sector. Served as it stands by `GET /v1/plans`. */
import type { Table } from '../machine.ts';

export type SnapupState =
  | 'Empty'
  | 'Allocated'
  | 'PieceAdded'
  | 'TreeDBuilt'
  | 'SnapEncoded'
  | 'SnapProved'
  | 'Persisted'
  | 'Finished'
  | 'Aborted';

export type SnapupEvent =
  | 'AllocatedSnapUpSector'
  | 'AddPiece'
  | 'BuildTreeD'
  | 'SnapEncode'
  | 'SnapProve'
  | 'Persist'
  | 'RePersist'
  | 'Finish';

export const SNAPUP = {
  Empty: { AllocatedSnapUpSector: 'Allocated' },
  Allocated: { AddPiece: 'PieceAdded' },
  PieceAdded: { BuildTreeD: 'TreeDBuilt' },
  TreeDBuilt: { SnapEncode: 'SnapEncoded' },
  SnapEncoded: { SnapProve: 'SnapProved' },
  SnapProved: { Persist: 'Persisted' },
  Persisted: { RePersist: 'SnapProved', Finish: 'Finished' },
  Finished: {},
  Aborted: {},
} as const satisfies Table<SnapupState, SnapupEvent>;
