/**
 * The URLs of one attempt: short-lived, and replaced by the answers to heartbeats, so that a transfer may take longer than a
 * URL lives. One that is nearly over, or that was refused, is never used again while another can be asked for.
 */
import type { HeartbeatUrls, RenewedUrls } from '../schema/runner.ts';
import { unlessAborted } from './lanes.ts';

/** What a URL is for: an input, or one part (from 1 on) of an output. */
export type UrlPlace = { readonly name: string; readonly part?: number };

/** What a transfer needs of them. */
export type Urls = {
  /** The URL to use now: `given` while it is good. Rejects when none can be had for now, or with the signal's reason. */
  urlFor(place: UrlPlace, given: string | undefined, signal: AbortSignal): Promise<string>;
  /** The object store answered 403. True: another one will be asked for; false: that would change nothing. */
  refused(place: UrlPlace, url: string): boolean;
};

/** A URL older than this part of its life is not begun with. */
const USED_UP = 0.8;
/** Parts asked for with the one that is needed, which are the next ones to be sent. */
const PARTS_AHEAD = 15;
/** Of one heartbeat. */
const MOST_PARTS = 64;
/** So many new ones refused: it is not their age. */
const MOST_REFUSED = 2;

type Known = { readonly url: string; readonly sinceMs: number };
type Waiter = { readonly place: UrlPlace; asked: boolean; resolve(url: string): void; reject(error: Error): void };

/** For attempts of control planes that renew URLs; where `ttlMs` is undefined, it does not, and what was given is all there is. */
export class FreshUrls implements Urls {
  readonly #ttlMs: number | undefined;
  readonly #askSoon: () => void;
  readonly #partsOf: (name: string) => number;
  readonly #sinceMs = performance.now();
  readonly #renewed = new Map<string, Known>();
  readonly #dead = new Set<string>();
  readonly #refusals = new Map<string, number>();
  readonly #waiters = new Set<Waiter>();

  /** `askSoon`: sends a heartbeat as soon as it can. `partsOf`: how many parts an output can have. */
  constructor(ttlMs: number | undefined, askSoon: () => void, partsOf: (name: string) => number) {
    this.#ttlMs = ttlMs;
    this.#askSoon = askSoon;
    this.#partsOf = partsOf;
  }

  async urlFor(place: UrlPlace, given: string | undefined, signal: AbortSignal): Promise<string> {
    const good = this.#good(place, given);
    if (good !== undefined) return good;
    let waiter: Waiter | undefined;
    const come = new Promise<string>((resolve, reject) => {
      waiter = { place, asked: false, resolve, reject };
      this.#waiters.add(waiter);
    });
    this.#askSoon();
    try {
      return await unlessAborted(come, signal);
    } finally {
      this.#waiters.delete(waiter as Waiter);
    }
  }

  refused(place: UrlPlace, url: string): boolean {
    if (this.#ttlMs === undefined) return false;
    this.#dead.add(url);
    const known = this.#renewed.get(keyOf(place));
    // A new one that is refused at once was not refused for its age.
    const young = known?.url === url && performance.now() - known.sinceMs < this.#ttlMs / 2;
    const times = (this.#refusals.get(keyOf(place)) ?? 0) + (young ? 1 : 0);
    this.#refusals.set(keyOf(place), times);
    return times < MOST_REFUSED;
  }

  /** What the next heartbeat asks for; undefined: nothing. */
  wanted(): HeartbeatUrls | undefined {
    const inputs = new Set<string>();
    const parts = new Map<string, Set<number>>();
    let count = 0;
    for (const waiter of this.#waiters) {
      const { name, part } = waiter.place;
      if (part === undefined) {
        inputs.add(name);
        waiter.asked = true;
        continue;
      }
      const numbers = parts.get(name) ?? new Set<number>();
      parts.set(name, numbers);
      const last = Math.min(part + PARTS_AHEAD, this.#partsOf(name));
      for (let number = part; number <= last && count < MOST_PARTS; number++) {
        if (numbers.has(number) || (number !== part && this.#good({ name, part: number }, undefined) !== undefined)) continue;
        numbers.add(number);
        count += 1;
      }
      waiter.asked = numbers.has(part);
    }
    if (inputs.size === 0 && count === 0) return undefined;
    return {
      inputs: [...inputs],
      parts: [...parts].filter(([, numbers]) => numbers.size > 0).map(([name, numbers]) => ({ name, numbers: [...numbers] })),
    };
  }

  /** Takes the answer to a heartbeat that asked. What was asked for and is not there cannot be had now. */
  take(renewed: RenewedUrls | undefined): void {
    const sinceMs = performance.now();
    for (const { name, url } of renewed?.inputs ?? []) this.#renewed.set(keyOf({ name }), { url, sinceMs });
    for (const { name, part, url } of renewed?.parts ?? []) this.#renewed.set(keyOf({ name, part }), { url, sinceMs });
    for (const waiter of this.#waiters) {
      const good = this.#good(waiter.place, undefined);
      if (good !== undefined) waiter.resolve(good);
      else if (waiter.asked) waiter.reject(new Error(`the control plane gave no new URL for ${waiter.place.name}`));
    }
  }

  #good(place: UrlPlace, given: string | undefined): string | undefined {
    const { url, sinceMs } = this.#renewed.get(keyOf(place)) ?? { url: given, sinceMs: this.#sinceMs };
    if (url === undefined || this.#dead.has(url)) return undefined;
    const old = this.#ttlMs !== undefined && performance.now() - sinceMs > this.#ttlMs * USED_UP;
    return old ? undefined : url;
  }
}

function keyOf({ name, part }: UrlPlace): string {
  return part === undefined ? name : `${name}#${part}`;
}
