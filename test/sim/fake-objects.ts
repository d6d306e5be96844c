/** Object storage in memory, with the refusals of the real ones. It outlives every crash of the control plane. */
import type { ObjectStore } from '../../src/scheduler/ports.ts';
import { SealpoolError } from '../../src/schema/problem.ts';
import { hashOf } from './replica.ts';
import { TimedMap } from './stale-listing.ts';
import { readUrl, urlOf } from './transfers.ts';

export type Stored = { readonly content: string; readonly sizeBytes: number };
type Uploading = { readonly key: string; readonly maxSizeBytes: number; part: Stored | undefined; state: 'open' | 'done' | 'aborted' };

/** Objects are small texts; a part is the whole object. */
export class FakeObjects {
  readonly objects = new TimedMap<Stored>();
  readonly uploads = new TimedMap<Uploading>();
  /** Told of each object that is to go, before it does. */
  onDelete: (key: string) => void = () => undefined;
  #uploads = 0;
  #now = (): number => 0;

  /** By which clock it says when something came. */
  set now(now: () => number) {
    this.objects.now = now;
    this.uploads.now = now;
    this.#now = now;
  }

  /** A runner's PUT of the one part; answers its ETag. */
  receive(url: string, content: string, sizeBytes = content.length): string {
    const upload = this.uploads.get(readUrl(url, this.#now()));
    if (upload === undefined || upload.state !== 'open') throw new SealpoolError('not_found', 'no_such_upload', 'this upload is not open');
    if (sizeBytes > upload.maxSizeBytes) throw new SealpoolError('too_large', 'too_large', 'the part is too large');
    upload.part = { content, sizeBytes };
    return hashOf(content).slice(7, 23);
  }

  /** A runner's GET. */
  open(url: string): Stored | undefined {
    return this.objects.get(readUrl(url, this.#now()));
  }

  port(): ObjectStore {
    const { objects, uploads } = this;
    const signed = (what: string, ttlMs: number): string => urlOf(what, this.#now() + ttlMs);
    const exists = (key: string): SealpoolError => new SealpoolError('conflict', 'object_exists', `object ${key} exists already`);
    return {
      createUpload: async (key, maxSizeBytes, ttlMs) => {
        if (objects.has(key)) throw exists(key);
        const uploadId = `u${(this.#uploads += 1)}`;
        uploads.set(uploadId, { key, maxSizeBytes, part: undefined, state: 'open' });
        return { uploadId, partSizeBytes: Math.max(1, maxSizeBytes), partUrls: [signed(uploadId, ttlMs)] };
      },
      partUrls: async ({ uploadId }, numbers, ttlMs) =>
        numbers.filter((number) => number === 1).map((number) => ({ number, url: signed(uploadId, ttlMs) })),
      completeUpload: async (key, uploadId, parts, sizeBytes) => {
        const upload = uploads.get(uploadId);
        if (upload === undefined || upload.state === 'aborted')
          throw new SealpoolError('not_found', 'no_such_upload', 'this upload is not open');
        if (upload.state === 'done') {
          const kept = objects.get(key);
          if (kept === undefined) throw new SealpoolError('not_found', 'no_such_object', 'there is no such object');
          if (kept.sizeBytes !== sizeBytes) throw exists(key);
          return;
        }
        const { part } = upload;
        if (part === undefined || parts.length !== 1 || parts[0]?.etag !== hashOf(part.content).slice(7, 23))
          throw new SealpoolError('conflict', 'part_missing', 'part 1 was not uploaded');
        if (part.sizeBytes !== sizeBytes) throw new SealpoolError('conflict', 'size_differs', `the parts make ${part.sizeBytes} bytes`);
        if (objects.has(key)) throw exists(key);
        objects.set(key, part);
        upload.state = 'done';
      },
      abortUpload: async (_key, uploadId) => {
        const upload = uploads.get(uploadId);
        if (upload !== undefined && upload.state === 'open') upload.state = 'aborted';
      },
      getUrl: async (key, ttlMs) => signed(key, ttlMs),
      put: async (key, body, maxSizeBytes) => {
        let content = '';
        for await (const bytes of body) content += Buffer.from(bytes).toString();
        if (content.length > maxSizeBytes) throw new SealpoolError('too_large', 'too_large', 'the object is too large');
        if (objects.has(key)) throw exists(key);
        objects.set(key, { content, sizeBytes: content.length });
        return { sizeBytes: content.length, hash: hashOf(content) };
      },
      head: async (key) => {
        const found = objects.get(key);
        return found === undefined ? undefined : { sizeBytes: found.sizeBytes };
      },
      delete: async (key) => {
        this.onDelete(key);
        objects.delete(key);
      },
      list: async function* (prefix) {
        for (const [key, { sizeBytes }] of objects) if (key.startsWith(prefix)) yield { key, sizeBytes, madeMs: 0 };
      },
      listUploads: async function* () {},
    };
  }
}
