/**
 * Looks through object storage for what no job needs, page by page: each page is judged, and what goes of it is written to the
 * outbox, in one transaction of the engine. Nothing is deleted here.
 */
import type { CollectRules, Collected, Garbage, Judged } from '../schema/garbage.ts';
import type { ListedObject, ListedUpload, ObjectStore } from '../scheduler/ports.ts';
import type { EffectContext, EffectDoor } from './door.ts';

/** Entries of one transaction: nobody waits long behind it. */
const PAGE = 200;
/** Lines of one answer. */
const MOST_TOLD = 1_000;
/** Where a collection on schedule goes on after a restart: the last key that it was past. */
const AFTER = 'collected_after';

type Listed = { readonly objects: readonly ListedObject[]; readonly uploads: readonly ListedUpload[] };

export type CollectorParts<C extends EffectContext> = {
  readonly door: Pick<EffectDoor<C>, 'run'>;
  readonly objects: Pick<ObjectStore, 'list' | 'listUploads'>;
  /** The engine's functions about garbage. */
  readonly engine: {
    /** What of a page is garbage. */
    judge(ctx: C, listed: Listed, rules: CollectRules): Judged[];
    /** The same, and writes down that it goes. */
    collect(ctx: C, listed: Listed, rules: CollectRules): Judged[];
    /** Whether nothing may go yet. */
    collectingHeld(ctx: C): boolean;
  };
  readonly rules: Omit<CollectRules, 'unknown'>;
};

export type CollectOptions = {
  /** False: only looks. */
  readonly remove: boolean;
  /** Takes, or counts in, what the database knows nothing of. */
  readonly unknown: boolean;
  /** Goes on where one before was broken off. */
  readonly resume?: boolean;
};

/** Looks through all of the storage. Throws what the store or the database throws; pages before that stand. */
export type Collector = (options: CollectOptions) => Promise<Collected>;

/** A collector; one call at a time, others wait. */
export function openCollector<C extends EffectContext>(parts: CollectorParts<C>): Collector {
  let last: Promise<unknown> = Promise.resolve();
  return (options) => {
    const mine = last.then(() => lookThrough(parts, options));
    last = mine.catch(() => undefined);
    return mine;
  };
}

async function lookThrough<C extends EffectContext>(parts: CollectorParts<C>, options: CollectOptions): Promise<Collected> {
  const { door, objects, engine } = parts;
  const rules: CollectRules = { ...parts.rules, unknown: options.unknown };
  const found = new Findings(options.unknown);
  const judged = (ctx: C, listed: Listed): Judged[] => (options.remove ? engine.collect : engine.judge)(ctx, listed, rules);
  const { held, after, nowMs } = await door.run((ctx) => ({
    held: engine.collectingHeld(ctx),
    after: options.resume === true ? (ctx.tx.meta(AFTER) ?? '') : '',
    nowMs: ctx.nowMs,
  }));
  for await (const page of pages(objects.list('', after))) {
    found.looked(page);
    found.add(
      await door.run((ctx) => {
        if (options.resume === true) ctx.tx.setMeta(AFTER, page.at(-1)?.key ?? '');
        return judged(ctx, { objects: page, uploads: [] });
      }),
    );
  }
  const beforeMs = nowMs - Math.min(rules.graceMs, rules.uploadAgeMs);
  for await (const page of pages(objects.listUploads('', beforeMs))) {
    found.add(await door.run((ctx) => judged(ctx, { objects: [], uploads: page })));
  }
  if (options.resume === true) await door.run((ctx) => ctx.tx.setMeta(AFTER, ''));
  return { removed: options.remove && !held, held, ...found.told() };
}

async function* pages<T>(all: AsyncIterable<T>): AsyncGenerator<T[]> {
  let page: T[] = [];
  for await (const item of all) {
    page.push(item);
    if (page.length < PAGE) continue;
    yield page;
    page = [];
  }
  if (page.length > 0) yield page;
}

type Sum = { count: number; sizeBytes: number };

/** Sums, and the first lines. */
class Findings {
  readonly #items: Garbage[] = [];
  readonly #withUnknown: boolean;
  readonly #sums = { objects: none(), uploads: none(), unknown: none(), listed: none() };

  constructor(withUnknown: boolean) {
    this.#withUnknown = withUnknown;
  }

  looked(page: readonly ListedObject[]): void {
    for (const { sizeBytes } of page) count(this.#sums.listed, sizeBytes);
  }

  add(judged: readonly Judged[]): void {
    for (const { uploadId: _id, ...item } of judged) {
      if (this.#items.length < MOST_TOLD) this.#items.push(item);
      if (item.reason === 'unknown') count(this.#sums.unknown, item.sizeBytes);
      if (item.reason !== 'unknown' || this.#withUnknown) count(this.#sums[`${item.what}s`], item.sizeBytes);
    }
  }

  told(): Pick<Collected, 'items' | 'objects' | 'uploads' | 'unknown' | 'listed'> {
    return { items: this.#items, ...this.#sums };
  }
}

const none = (): Sum => ({ count: 0, sizeBytes: 0 });

function count(sum: Sum, sizeBytes: number): void {
  sum.count += 1;
  sum.sizeBytes += sizeBytes;
}
