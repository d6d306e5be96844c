/**
 * How files move between runners and the object store: by URLs that run out in seconds, not in an hour, and are asked for anew with
 * heartbeats; and with a sum of each file beside it, which whoever made it may have made up. Drawn apart from the rest.
 */
import { manifestOf } from '../../src/schema/manifest.ts';
import type { Grant, HeartbeatRequest, RenewedUrls } from '../../src/schema/runner.ts';
import { Rng } from './prng.ts';
import { hashOf } from './replica.ts';
import type { TransferSettings } from './script.ts';

/** Undefined: URLs outlive every story. */
export function transferSettings(seed: number): TransferSettings | undefined {
  const rng = Rng.named(seed, 'transfers');
  if (!rng.chance(50)) return undefined;
  return {
    urlTtlMs: rng.between(1_000, 20_000),
    wrongSums: rng.weighted([
      [6, 0],
      [2, 1],
      [1, 2],
    ]),
    nosy: rng.chance(30),
  };
}

/** The store does not take a URL any more. */
export class UrlExpired extends Error {}

/** A URL of an object, or of the one part of an upload, and what it is good for. */
export const urlOf = (what: string, untilMs: number): string => `sim:${untilMs}:${what}`;

/** What the URL is for. Throws when it has run out. */
export function readUrl(url: string, nowMs: number): string {
  const [, untilMs, what = ''] = /^sim:(\d+):(.*)$/.exec(url) ?? [];
  if (untilMs === undefined) throw new Error(`${url} is no URL of this store`);
  if (nowMs > Number(untilMs)) throw new UrlExpired(`the URL of ${what} has run out`);
  return what;
}

/** The manifest of a file of one part, of which only its sum counts; `wrong`: of some other file. */
export function manifestFor(content: string, sizeBytes: number, wrong: boolean): ReturnType<typeof manifestOf> {
  return manifestOf(Math.max(1, sizeBytes), [sumOf(wrong ? `other ${content}` : content)]);
}

export const sumOf = (content: string): number => Number.parseInt(hashOf(content).slice(7, 15), 16);

type Beat = HeartbeatRequest['attempts'][number];

/** The URLs of one attempt: those of its grant until newer ones come. */
export class AttemptUrls {
  readonly #inputs: Map<string, string>;
  readonly #outputs: Map<string, string>;
  /** What each URL that it had is for. */
  readonly #what: Map<string, string>;
  #wanted = false;
  #come: () => void = () => undefined;

  constructor({ inputs, outputs }: Grant) {
    this.#inputs = new Map(inputs.map(({ name, url }) => [name, url]));
    this.#outputs = new Map(outputs.map(({ name, partUrls }) => [name, partUrls[0] ?? '']));
    this.#what = new Map([...this.#inputs.values(), ...this.#outputs.values()].map((url) => [url, readUrl(url, 0)]));
  }

  input = (name: string): string => this.#inputs.get(name) ?? '';
  output = (name: string): string => this.#outputs.get(name) ?? '';

  /** What the next heartbeat asks for. */
  get wish(): Pick<Beat, 'urls'> {
    if (!this.#wanted) return {};
    const parts = [...this.#outputs.keys()].map((name) => ({ name, numbers: [1] }));
    return { urls: { inputs: [...this.#inputs.keys()].slice(0, 64), parts } };
  }

  /** New ones came. `broken` is told of one that leads elsewhere than the grant's. */
  renewed({ inputs, parts }: RenewedUrls, broken: (what: string) => void): void {
    const same = (of: Map<string, string>, name: string, url: string): void => {
      const before = this.#what.get(of.get(name) ?? '');
      const now = readUrl(url, 0);
      if (before !== now) broken(`${name} was at ${before}, and a renewed URL leads to ${now}`);
      of.set(name, url);
      this.#what.set(url, now);
    };
    for (const { name, url } of inputs) same(this.#inputs, name, url);
    for (const { name, url } of parts) same(this.#outputs, name, url);
    this.#wanted = false;
    this.#come();
  }

  /** Uses them, and waits for newer ones for as long as the store says that they have run out; one at a time. `over`: it is not needed any more. */
  async use<T>(over: () => boolean, once: () => T): Promise<T | undefined> {
    while (!over()) {
      try {
        return once();
      } catch (error) {
        if (!(error instanceof UrlExpired)) throw error;
        this.#wanted = true;
        await new Promise<void>((come) => (this.#come = come));
      }
    }
    return undefined;
  }
}
