/** What honest runners and an honest chain answer in the scheduler's test world. */
import { createHash } from 'node:crypto';
import type { EffectOutcome, EffectRow } from '../../src/scheduler/effects.ts';
import type { GrantPlan } from '../../src/scheduler/grants.ts';
import type { ChainSector } from '../../src/schema/job.ts';
import type { PlacedPiece } from '../../src/schema/sector-record.ts';

export const digest = (text: string): string => createHash('sha256').update(text).digest('hex');
/** Of a sector of zeros. */
export const COMM_D = { cid: 'baga6ea4seaqcommd', hex: digest('commD') };
export const COMM_R = { cid: 'bagboea4b5abcommr', hex: digest('commR') };
/** Of client data: as a sealed sector, and as an update of a sealed one. */
export const DATA_COMM_D = { cid: 'baga6ea4seaqdata', hex: digest('data commD') };
export const DATA_COMM_R = { cid: 'bagboea4b5abdata', hex: digest('data commR') };
export const UPDATE_COMM_R = { cid: 'bagboea4b5abupdate', hex: digest('update commR') };
export const TICKET = { value: digest('ticket'), epoch: 10_000 };

const ZEROS: PlacedPiece[] = [{ cid: COMM_D.cid, paddedSizeBytes: '2048', offsetBytes: '0', filler: true }];
export const DATA: PlacedPiece[] = [{ cid: 'baga6ea4seaqpiece', paddedSizeBytes: '2048', offsetBytes: '0' }];

const filled = (pieces: unknown): boolean => (pieces as PlacedPiece[]).some(({ filler }) => filler !== true);
const proof = { proof: Buffer.alloc(192, 7).toString('base64') };

/** The result of an honest run of what was granted. */
export function honestResult({ work }: GrantPlan): Record<string, unknown> {
  if (work.kind === 'check-stored') return { valid: true };
  if (work.kind === 'publish') return {};
  if (work.kind === 'persist') {
    return {
      storage: work.storage ?? 'store',
      root: '/storage',
      files: work.files.map(({ artifact, path }) => ({ path, sizeBytes: '2048', hash: `sha256:${digest(artifact)}` })),
    };
  }
  const { params } = work;
  switch (work.stage) {
    case 'add-piece':
      return (params['pieces'] as unknown[]).length > 0 ? { pieces: DATA, commD: DATA_COMM_D } : { pieces: ZEROS, commD: COMM_D };
    case 'tree-d':
      return { commD: filled(params['pieces']) ? DATA_COMM_D : COMM_D };
    case 'pc2':
      return params['commD'] === COMM_D.cid ? { commR: COMM_R, commD: COMM_D } : { commR: DATA_COMM_R, commD: DATA_COMM_D };
    case 'snap-encode':
      return { commR: UPDATE_COMM_R, commD: DATA_COMM_D };
    case 'check-sealed':
      return { commR: { cid: params['commR'], hex: COMM_R.hex }, treeRLastMatches: true };
    case 'c2':
    case 'snap-prove':
      return proof;
    default:
      return { valid: true };
  }
}

/** A chain that does what it is told: each message lands and its sector becomes what it says. */
export class HonestChain {
  readonly sectors = new Map<number, ChainSector>();

  /** A proven sector, as if it had been sealed long ago. */
  proven(number: number, commR: string = COMM_R.cid, keyCommR: string | null = null): ChainSector {
    const sector = {
      sealProof: 5,
      commR,
      keyCommR,
      activationEpoch: 1,
      expirationEpoch: 1_000_000,
      deadline: 3,
      partition: 0,
      proven: true,
    };
    this.sectors.set(number, sector);
    return sector;
  }

  outcome({ want }: EffectRow): EffectOutcome {
    switch (want.kind) {
      case 'number':
        return { outcome: 'number', taken: this.sectors.has(want.number) };
      case 'ticket':
        return { outcome: 'ticket', ...TICKET };
      case 'oldTicket':
        return { outcome: 'oldTicket', ticket: want.epoch === null && want.preCommit === null ? null : TICKET };
      case 'sector':
        return { outcome: 'sector', sector: this.sectors.get(want.number) ?? null };
      case 'reconcile':
        return {
          outcome: 'reconciled',
          preCommit: null,
          sector: this.sectors.get(want.number ?? -1) ?? null,
          taken: false,
          messages: [],
          missing: [],
        };
      case 'seed':
        return { outcome: 'seed', value: digest('seed'), epoch: 11_000 };
      case 'message':
        return { outcome: 'pushed' };
      case 'landed':
        this.#land(want.number, want.what, want.commR);
        return { outcome: 'landed', epoch: 10_900, exitCode: 0, onChain: true, detail: '' };
      case 'declare':
        return { outcome: 'declared' };
      case 'delete':
        return { outcome: 'deleted' };
    }
  }

  #land(number: number, what: string, commR: string): void {
    if (what === 'proveCommit') this.proven(number, commR);
    const before = this.sectors.get(number);
    if (what === 'replicaUpdate' && before !== undefined) this.proven(number, commR, before.commR);
  }
}
