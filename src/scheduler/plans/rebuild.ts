/** The rebuild plan: a lost sector's files once more. Served as it stands by `GET /v1/plans`. */
import type { Table } from '../machine.ts';

export type RebuildState =
  | 'Empty'
  | 'Allocated'
  | 'PieceAdded'
  | 'TreeDBuilt'
  | 'PC1Done'
  | 'PC2Done'
  | 'SealedChecked'
  | 'SnapPieceAdded'
  | 'SnapTreeDBuilt'
  | 'SnapEncoded'
  | 'SnapDone'
  | 'Persisted'
  | 'Finished'
  | 'Aborted';

export type RebuildEvent =
  | 'AllocatedRebuildSector'
  | 'AddPiece'
  | 'BuildTreeD'
  | 'PC1'
  | 'PC2'
  | 'CheckSealed'
  | 'SkipSnap'
  | 'SnapEncode'
  | 'SnapProve'
  | 'Persist'
  | 'SubmitPersistance';

export const REBUILD = {
  Empty: { AllocatedRebuildSector: 'Allocated' },
  Allocated: { AddPiece: 'PieceAdded' },
  PieceAdded: { BuildTreeD: 'TreeDBuilt' },
  TreeDBuilt: { PC1: 'PC1Done' },
  PC1Done: { PC2: 'PC2Done' },
  PC2Done: { CheckSealed: 'SealedChecked' },
  SealedChecked: { SkipSnap: 'SnapDone', AddPiece: 'SnapPieceAdded' },
  SnapPieceAdded: { BuildTreeD: 'SnapTreeDBuilt' },
  SnapTreeDBuilt: { SnapEncode: 'SnapEncoded' },
  SnapEncoded: { SnapProve: 'SnapDone' },
  SnapDone: { Persist: 'Persisted' },
  Persisted: { SubmitPersistance: 'Finished' },
  Finished: {},
  Aborted: {},
} as const satisfies Table<RebuildState, RebuildEvent>;
