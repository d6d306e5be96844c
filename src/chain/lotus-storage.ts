/**
 * Lotus' sector index over its miner API: declares stored files and asks whether it sees them. Methods, file types and
 * their numbers are those of lotus' `StorageMiner` API and `storiface.SectorFileType`; the token needs the permission admin.
 */
import { z } from 'zod';
import type { MinerId } from '../schema/ids.ts';
import { isBucket } from '../schema/miner-storage.ts';
import { ChainError } from './errors.ts';
import { LotusRpc, type LotusRpcOptions } from './lotus-rpc.ts';

/** Numbers of the file types, by their folder. */
const FILE_TYPES: Readonly<Record<string, number>> = { unsealed: 1, sealed: 2, cache: 4, update: 8, 'update-cache': 16 };
const Found = z
  .array(z.object({ ID: z.string() }))
  .nullable()
  .transform((found) => found ?? []);

export type StoredSector = {
  readonly miner: MinerId;
  readonly number: number;
  readonly sectorSizeBytes: number;
  readonly storage: string;
  readonly root: string;
  readonly storeId: string | null;
  readonly files: readonly string[];
  readonly dropped: { readonly storeId: string | null } | null;
};

/** Speaks to one lotus-miner. `close()` frees its connections. */
export class LotusStorage {
  readonly #rpc: LotusRpc;

  constructor(options: LotusRpcOptions) {
    this.#rpc = new LotusRpc(options);
  }

  /** Resolves once the index has every type of file in this storage. Throws `ChainError`; repeating it changes nothing. */
  async declare({ miner, number, sectorSizeBytes, storage, root, storeId, files, dropped }: StoredSector): Promise<void> {
    const attach = isBucket(root)
      ? `lotus reads no bucket by itself: mount it where lotus-miner runs, type lotus-miner storage attach --init --store with the mounted folder; or set storage.declare to "command"`
      : `attach it there (sealpool storage attach --init, then lotus-miner storage attach ${root}); it is tried again by itself`;
    if (storeId === null)
      throw new ChainError('temporary', 'no_store_id', `storage ${storage} has no sectorstore.json that lotus could know it by; ${attach}`);
    // An index that has a sector in a path that it does not know fails to list any: the path is asked for first.
    await this.#rpc.call('StorageInfo', [storeId], z.object({ ID: z.literal(storeId) })).catch((error: unknown) => {
      if (!(error instanceof ChainError) || error.code !== 'rpc_error') throw error;
      throw new ChainError('temporary', 'not_attached', `lotus does not know storage ${storage} (${storeId}): ${error.message}; ${attach}`);
    });
    const sector = { Miner: Number(miner.slice(2)), Number: number };
    const folders = [...new Set(files.map((path) => path.split('/')[0] ?? ''))].filter((folder) => folder in FILE_TYPES);
    for (const folder of folders) {
      const type = FILE_TYPES[folder];
      await this.#rpc.call('StorageDeclareSector', [storeId, sector, type, true], z.null());
      const found = await this.#rpc.call('StorageFindSector', [sector, type, sectorSizeBytes, false], Found);
      if (found.some(({ ID }) => ID === storeId)) continue;
      throw new ChainError(
        'temporary',
        'not_seen',
        `lotus does not find the ${folder} file of sector ${number} in storage ${storage} after it was declared; ${attach}`,
      );
    }
    const old = dropped?.storeId ?? null;
    if (old === null || old === storeId) return;
    for (const folder of folders) await this.#rpc.call('StorageDropSector', [old, sector, FILE_TYPES[folder]], z.null());
  }

  close(): Promise<void> {
    return this.#rpc.close();
  }
}
