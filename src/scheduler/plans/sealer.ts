/** The sealer plan: a new sector, from nothing to proven on the chain. Served as it stands by `GET /v1/plans`. */
import type { Table } from '../machine.ts';

export type SealerState =
  | 'Empty'
  | 'Allocated'
  | 'DealsAcquired'
  | 'PieceAdded'
  | 'TreeDBuilt'
  | 'TicketAssigned'
  | 'PC1Done'
  | 'PC2Done'
  | 'PCSubmitted'
  | 'PCLanded'
  | 'Persisted'
  | 'PersistanceSubmitted'
  | 'SeedAssigned'
  | 'C1Done'
  | 'C2Done'
  | 'ProofSubmitted'
  | 'Finished'
  | 'Aborted';

export type SealerEvent =
  | 'Allocate'
  | 'AcquireDeals'
  | 'AddPiece'
  | 'BuildTreeD'
  | 'AssignTicket'
  | 'PC1'
  | 'PC2'
  | 'SubmitPC'
  | 'ReSubmitPC'
  | 'CheckPC'
  | 'Persist'
  | 'SubmitPersistance'
  | 'AssignSeed'
  | 'C1'
  | 'C2'
  | 'SubmitProof'
  | 'ReSubmitProof'
  | 'Finish';

export const SEALER = {
  Empty: { Allocate: 'Allocated' },
  Allocated: { AcquireDeals: 'DealsAcquired' },
  DealsAcquired: { AddPiece: 'PieceAdded' },
  PieceAdded: { BuildTreeD: 'TreeDBuilt' },
  TreeDBuilt: { AssignTicket: 'TicketAssigned' },
  TicketAssigned: { PC1: 'PC1Done' },
  PC1Done: { PC2: 'PC2Done' },
  PC2Done: { SubmitPC: 'PCSubmitted' },
  PCSubmitted: { ReSubmitPC: 'PC2Done', CheckPC: 'PCLanded' },
  PCLanded: { Persist: 'Persisted' },
  Persisted: { SubmitPersistance: 'PersistanceSubmitted' },
  PersistanceSubmitted: { AssignSeed: 'SeedAssigned' },
  SeedAssigned: { C1: 'C1Done' },
  C1Done: { C2: 'C2Done' },
  C2Done: { SubmitProof: 'ProofSubmitted' },
  ProofSubmitted: { ReSubmitProof: 'C2Done', Finish: 'Finished' },
  Finished: {},
  Aborted: {},
} as const satisfies Table<SealerState, SealerEvent>;
