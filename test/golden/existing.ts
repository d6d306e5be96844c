/** Sectors that exist, for plans that work on one. */
import type { Pledge } from '../../src/scheduler/pledge.ts';
import type { SectorRecord } from '../../src/schema/sector-record.ts';
import { COMM_D, COMM_R, DATA, DATA_COMM_D, TICKET, UPDATE_COMM_R } from '../scheduler/honest.ts';
import { MINER, type World } from '../scheduler/world.ts';

/** Makes sector `number` known and proven, upgraded or not; answers what a job on it is asked with. */
export async function existing(world: World, plan: string, number: number, upgraded: boolean): Promise<Partial<Pledge>> {
  const record: SectorRecord = {
    miner: MINER,
    number,
    sealProof: 'StackedDrg2KiBV1_1',
    ticket: TICKET,
    commD: COMM_D,
    commR: COMM_R,
    pieces: [],
    update: upgraded ? { commR: UPDATE_COMM_R, commD: DATA_COMM_D, pieces: DATA } : null,
    files: { storage: 'store', root: '/storage', files: null },
    preCommit: null,
    proveCommit: null,
    replicaUpdate: null,
    source: 'lotus',
  };
  await world.run((ctx) => ctx.tx.putSectorRecord(record));
  if (upgraded) world.chain.proven(number, UPDATE_COMM_R.cid, COMM_R.cid);
  else world.chain.proven(number);
  const data = plan === 'snapup' || upgraded;
  return { sector: number, ...(data ? { pieces: [await world.piece()] } : {}) };
}
