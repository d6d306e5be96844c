/** Listings of the fake object store, which may show what is gone and leave out what has come: as old as the last one at worst. */
import type { ListedObject, ListedUpload } from '../../src/scheduler/ports.ts';
import type { FakeObjects } from './fake-objects.ts';
import type { VirtualClock } from './clock.ts';
import { Rng } from './prng.ts';

type Listing = { readonly objects: ReadonlyMap<string, ListedObject>; readonly uploads: ReadonlyMap<string, ListedUpload> };

/** A map that knows since when it has what. */
export class TimedMap<V> extends Map<string, V> {
  readonly sinceMs = new Map<string, number>();
  now: () => number = () => 0;

  override set(key: string, value: V): this {
    if (!this.has(key)) this.sinceMs.set(key, this.now());
    return super.set(key, value);
  }
}

export class StaleListing {
  readonly #store: FakeObjects;
  readonly #clock: VirtualClock;
  readonly #rng: Rng;
  #before: Listing = { objects: new Map(), uploads: new Map() };

  constructor(store: FakeObjects, clock: VirtualClock) {
    this.#store = store;
    this.#clock = clock;
    // Of its own, so that listings shift nobody else's draws.
    this.#rng = new Rng(clock.nowMs);
  }

  /** `exact`: as it stands. */
  port(exact: boolean): {
    list: () => AsyncIterable<ListedObject>;
    listUploads: (_: string, beforeMs: number) => AsyncIterable<ListedUpload>;
  } {
    const [clock, rng] = [this.#clock, this.#rng];
    const mixed = <T>(now: ReadonlyMap<string, T>, before: ReadonlyMap<string, T>): T[] => {
      if (exact) return [...now.values()];
      const shown = [...now].flatMap(([key, item]) => (before.has(key) || rng.chance(80) ? [item] : []));
      return [...shown, ...[...before].flatMap(([key, item]) => (!now.has(key) && rng.chance(50) ? [item] : []))];
    };
    const look = (): { objects: ListedObject[]; uploads: ListedUpload[] } => {
      const [now, before] = [this.#now(), this.#before];
      this.#before = now;
      return { objects: mixed(now.objects, before.objects), uploads: mixed(now.uploads, before.uploads) };
    };
    let looked: ReturnType<typeof look> | undefined;
    return {
      async *list() {
        looked = look();
        for (const object of looked.objects) {
          // Whatever happens between two pages happens after it was listed.
          if (rng.chance(20)) await clock.sleep(rng.between(1, 2_000));
          yield object;
        }
      },
      async *listUploads(_prefix, beforeMs) {
        await clock.sleep(rng.between(1, 2_000));
        yield* (looked ?? look()).uploads.filter(({ begunMs }) => begunMs < beforeMs);
      },
    };
  }

  #now(): Listing {
    const { objects, uploads } = this.#store;
    const open = [...uploads].filter(([, { state }]) => state === 'open');
    return {
      objects: new Map([...objects].map(([key, { sizeBytes }]) => [key, { key, sizeBytes, madeMs: objects.sinceMs.get(key) ?? 0 }])),
      uploads: new Map(
        open.map(([uploadId, { key, part }]) => [
          uploadId,
          { key, uploadId, sizeBytes: part?.sizeBytes ?? 0, begunMs: uploads.sinceMs.get(uploadId) ?? 0 },
        ]),
      ),
    };
  }
}
