/** What runners measure their way to the object store with: an object to fetch, and a place to put as many bytes. */
import type { Probe } from '../schema/runner.ts';
import type { ApiParts } from './parts.ts';

/** A few hundred milliseconds of a good line; what a runner sends is dropped again. */
const SIZE_BYTES = 8 * 2 ** 20;
const DOWN_KEY = `probes/down-${SIZE_BYTES}`;
const TTL_MS = 120_000;
/** Of one runner: whoever asks all the time gets nothing. */
const EVERY_MS = 60_000;
const MOST_KNOWN = 20_000;

/** Answers a probe to a runner that asks for one, unless it did a moment ago or the store does not take it now. */
export function probesOf(parts: ApiParts): (credential: string) => Promise<Probe | undefined> {
  const asked = new Map<string, number>();
  let stored: Promise<void> | undefined;
  return async (credential) => {
    const nowMs = performance.now();
    if (nowMs - (asked.get(credential) ?? -Infinity) < EVERY_MS) return undefined;
    if (asked.size >= MOST_KNOWN) asked.clear();
    asked.set(credential, nowMs);
    try {
      stored ??= store(parts);
      await stored;
      const key = `probes/up-${parts.requestId()}`;
      const { uploadId, partUrls } = await parts.objects.createUpload(key, SIZE_BYTES, TTL_MS);
      const drop = (): Promise<void> => parts.objects.abortUpload(key, uploadId);
      void parts
        .sleep(TTL_MS, parts.ending)
        .then(drop, drop)
        .catch(() => undefined);
      const [putUrl] = partUrls;
      return putUrl === undefined ? undefined : { getUrl: await parts.objects.getUrl(DOWN_KEY, TTL_MS), putUrl, sizeBytes: SIZE_BYTES };
    } catch (error) {
      stored = undefined;
      parts.log.warn({ err: error }, 'a runner could not be given anything to measure its network with');
      return undefined;
    }
  };
}

async function store({ objects }: ApiParts): Promise<void> {
  if ((await objects.head(DOWN_KEY))?.sizeBytes === SIZE_BYTES) return;
  await objects.put(DOWN_KEY, noise(), SIZE_BYTES);
}

/** Bytes that no proxy on the way can press together: Marsaglia's xorshift. */
async function* noise(): AsyncGenerator<Uint8Array> {
  const words = new Uint32Array(2 ** 14);
  let word = 0x9e3779b9;
  for (let sent = 0; sent < SIZE_BYTES; sent += words.byteLength) {
    for (let at = 0; at < words.length; at++) {
      word ^= word << 13;
      word ^= word >>> 17;
      word ^= word << 5;
      words[at] = word;
    }
    yield new Uint8Array(words.buffer.slice(0));
  }
}
