/** Rows about miner storage. */
import type { AttemptId, JobId, MinerId, RunnerId } from '../schema/ids.ts';
import type { Attempt } from '../schema/job.ts';
import type { StoragePath } from '../schema/miner-storage.ts';
import type { SectorRecord } from '../schema/sector-record.ts';
import type { StoredFile } from '../schema/stage.ts';
import type { MoveStep } from '../schema/stored-move.ts';

/** A path as its runner told of it last. */
export type StoragePathRow = {
  readonly runner: RunnerId;
  readonly path: StoragePath;
  readonly seenMs: number;
  /** The sector whose files it reads against their hashes now. */
  readonly checking: { readonly miner: MinerId; readonly number: number; readonly sinceMs: number } | null;
};

/** Where an attempt puts a sector's files. */
export type StoragePlace = {
  readonly attempt: AttemptId;
  readonly job: JobId;
  readonly storage: string;
  readonly sizeBytes: number;
};

/** A stored file that is not as it was stored, and how. */
export type BadFile = { readonly path: string; readonly how: string };

/** Whether whoever does Window PoSt was told of a sector's files and sees them; null: nobody knows, as of one that was imported. */
export type Declared = 'yes' | 'no' | 'under_way' | null;

/** A sector's record with when its files were last checked, and who knows of them. */
export type StoredSector = {
  readonly record: SectorRecord;
  readonly checkedMs: number | null;
  readonly damage: readonly BadFile[];
  readonly declared: Declared;
};

/** A sector's files on their way from one path to another, and what is to be done next. */
export type StorageMove = {
  readonly miner: MinerId;
  readonly number: number;
  readonly from: string;
  readonly to: string;
  readonly sizeBytes: number;
  /** `declare`: whoever does Window PoSt is told; `failed`: nothing of it is left in the new path, it is tried again. */
  readonly phase: MoveStep | 'declare' | 'failed';
  /** Its old path is drained, or somebody asked for this move. */
  readonly cause: 'drain' | 'request';
  readonly files: readonly StoredFile[];
  /** Which process of which runner was asked for the step last, and whether it said that it cannot; null: it has not been. */
  readonly asked: { readonly runner: RunnerId; readonly bootId: string; readonly atMs: number; readonly failed?: true } | null;
  /** What stood against it last. */
  readonly why: string | null;
};

/** The part of `Tx` about miner storage. */
export type StorageTx = {
  /** Of one runner, or of all; by runner and id. */
  storagePaths(runner?: RunnerId): readonly StoragePathRow[];
  /** Inserts or replaces. */
  putStoragePath(row: StoragePathRow): void;
  deleteStoragePath(runner: RunnerId, id: string): void;

  insertStoragePlace(place: StoragePlace): void;
  /** Bytes that running attempts and moves are putting into each storage. */
  storageReserved(): ReadonlyMap<string, number>;
  /** Where attempts of this job put files, newest first, and what became of each. */
  placesOfJob(job: JobId): readonly (StoragePlace & Pick<Attempt, 'status' | 'state' | 'generation'>)[];

  /** Sectors whose files are in this storage, by miner and number, after that one. */
  sectorsIn(storage: string, limit: number, after?: { readonly miner: MinerId; readonly number: number }): readonly StoredSector[];
  countSectorsIn(storage: string): number;
  storedSector(miner: MinerId, number: number): StoredSector | undefined;
  /** Sectors in this storage that no job has or may still say something of, whose files were not checked since `beforeMs`: those never checked first. */
  uncheckedIn(storage: string, beforeMs: number, limit: number): readonly SectorRecord[];
  setChecked(miner: MinerId, number: number, checkedMs: number | null, damage: readonly BadFile[]): void;
  /** It is the turn of all sectors in this storage; answers how many there are. */
  checkAllIn(storage: string): number;
  setDeclared(miner: MinerId, number: number, declared: Declared): void;
  /** From now on nobody was told of any, nor knew of it; what is under way goes on. */
  forgetDeclared(): void;
  /** Sectors in this storage that nobody was told of. */
  undeclaredIn(storage: string, limit: number): readonly SectorRecord[];
  countUndeclaredIn(storage: string): number;

  /** All moves; there are a few for each path. */
  storageMoves(): readonly StorageMove[];
  storageMove(miner: MinerId, number: number): StorageMove | undefined;
  /** Inserts or replaces. */
  putStorageMove(move: StorageMove): void;
  deleteStorageMove(miner: MinerId, number: number): void;
  /** Sectors in this storage that can be moved: their files are known and whole, no job has them, no move. */
  movableIn(storage: string, limit: number): readonly SectorRecord[];
};
