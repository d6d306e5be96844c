/** A bucket as miner storage, as the agent sees it: whoever puts the agent together opens it, with keys that the agent never has. */

/** One state of an object: another one under the same key has another ETag. */
export type StoredObject = { readonly sizeBytes: number; readonly etag: string };

/** What an object is made of, read once and in order. */
export type DraftSource = {
  /** Fills all of it with the bytes that come next. */
  fill(into: Buffer): Promise<void>;
  /** Called after the last byte; throws when the whole is not what it has to be. */
  end(): Promise<void>;
};

/** An object whose bytes are all there and that nobody sees yet. */
export type BucketDraft = {
  /** Gives it its key in one step. Throws when something else stands there than when it was begun. */
  place(): Promise<StoredObject>;
  /** Forgets it; never rejects. */
  drop(): Promise<void>;
};

/**
 * Keys are those below the path's prefix. What goes wrong is thrown as `SealpoolError`, in a sentence with the bucket's name and what to
 * do, never with a key of the configuration in it; what a source throws comes as it is.
 */
export type Bucket = {
  /** Throws when the bucket itself is not there: of its objects nothing is known then. */
  find(key: string): Promise<StoredObject | undefined>;
  /** A text of so many bytes at most; undefined: there is none. */
  readText(key: string, mostBytes: number): Promise<string | undefined>;
  /** So many bytes from there on, of this very object. */
  read(key: string, object: StoredObject, from: number, sizeBytes: number, signal: AbortSignal): Promise<Buffer>;
  /** Sends the parts of a new object that is to stand instead of this one, or where there is none. Leaves nothing behind when it throws. */
  draft(key: string, instead: StoredObject | undefined, sizeBytes: number, source: DraftSource, signal: AbortSignal): Promise<BucketDraft>;
  /** Forgets drafts of this key that somebody began and never placed. */
  dropDrafts(key: string): Promise<void>;
  /** Removes the object, unless another one stands there by now. */
  remove(key: string, object: StoredObject): Promise<void>;
  /** Whether any key begins so. */
  holds(prefix: string): Promise<boolean>;
  /** What all objects have together. */
  usedBytes(): Promise<number>;
};
