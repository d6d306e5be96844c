/** `GET /v1/plans` against the tables as their description spells them, typed here by hand. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ApiWorld } from './api-world.ts';

let world: ApiWorld;
beforeAll(async () => {
  world = await ApiWorld.open();
});
afterAll(() => world.close());

const SEALER = {
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
};

const SNAPUP = {
  Empty: { AllocatedSnapUpSector: 'Allocated' },
  Allocated: { AddPiece: 'PieceAdded' },
  PieceAdded: { BuildTreeD: 'TreeDBuilt' },
  TreeDBuilt: { SnapEncode: 'SnapEncoded' },
  SnapEncoded: { SnapProve: 'SnapProved' },
  SnapProved: { Persist: 'Persisted' },
  Persisted: { RePersist: 'SnapProved', Finish: 'Finished' },
  Finished: {},
  Aborted: {},
};

const REBUILD = {
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
};

const UNSEAL = {
  Empty: { AllocatedUnsealSector: 'Allocated' },
  Allocated: { UnsealDone: 'Unsealed' },
  Unsealed: { UploadPieceDone: 'Finished' },
  Finished: {},
  Aborted: {},
};

test('the tables of all four plans, and no other plan', async () => {
  const { status, json } = await world.call('GET', '/v1/plans', { token: world.admin });
  expect(status).toBe(200);
  expect(json).toEqual({ sealer: SEALER, snapup: SNAPUP, rebuild: REBUILD, unseal: UNSEAL });
});
