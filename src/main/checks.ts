/** What `/readyz` looks at: each part is really used, within a bounded time, and not anew for everybody who asks. */
import type { Logger } from 'pino';
import type { Check } from '../api/parts.ts';
import type { Door } from '../api/door.ts';
import type { Chain, ObjectStore } from '../scheduler/ports.ts';

/** A part that takes longer does not serve. */
const LIMIT_MS = 3_000;
/** Answers are kept so long: a flood of questions writes no more than this often. */
const KEPT_MS = 1_000;

export type CheckedParts = {
  readonly door: Door;
  readonly objects: Pick<ObjectStore, 'put' | 'head' | 'delete'>;
  readonly chain: Pick<Chain, 'head'>;
  /** Random hex, for the names of probes. */
  readonly hex: (bytes: number) => string;
  readonly log: Logger;
  readonly limitMs?: number;
  readonly keptMs?: number;
};

/** Asks all parts side by side. Never rejects; whoever asks while an answer is under way gets that one. */
export function readiness(parts: CheckedParts): () => Promise<readonly Check[]> {
  const { keptMs = KEPT_MS } = parts;
  let kept: { untilMs: number; readonly checks: Promise<readonly Check[]> } | undefined;
  const look = (): Promise<readonly Check[]> =>
    Promise.all([
      within(parts, 'database', 'it was written', () => parts.door.run((ctx) => ctx.tx.setMeta('probe', String(ctx.nowMs)))),
      within(parts, 'chain', 'the node told its head', () => parts.chain.head()),
      within(parts, 'objects', 'an object was stored, found and deleted', () => probe(parts)),
    ]);
  return () => {
    if (kept !== undefined && performance.now() < kept.untilMs) return kept.checks;
    const asked = { untilMs: Number.POSITIVE_INFINITY, checks: look() };
    kept = asked;
    void asked.checks.then(() => {
      asked.untilMs = performance.now() + keptMs;
    });
    return asked.checks;
  };
}

/** A probe that could not be deleted is a few bytes under a name of its own. */
async function probe({ objects, hex }: CheckedParts): Promise<void> {
  const key = `probes/${hex(8)}`;
  try {
    await objects.put(key, one(), 16);
    if ((await objects.head(key))?.sizeBytes !== 1)
      throw new Error('what was just stored is not there; look at the disk of the object store');
  } finally {
    await objects.delete(key);
  }
}

async function* one(): AsyncGenerator<Uint8Array> {
  yield Uint8Array.of(1);
}

/** Anybody may ask: paths and addresses are for the log only. */
function codeOf(error: unknown): string {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === 'string' ? code : 'error';
}

async function within(
  { limitMs = LIMIT_MS, log }: CheckedParts,
  name: Check['name'],
  well: string,
  step: () => Promise<unknown>,
): Promise<Check> {
  const over = Promise.withResolvers<never>();
  const late = Object.assign(new Error(`no answer within ${limitMs} ms`), { code: 'timeout' });
  const timer = setTimeout(() => over.reject(late), limitMs);
  try {
    await Promise.race([step(), over.promise]);
    return { name, ok: true, detail: well };
  } catch (error) {
    log.warn({ check: name, err: error }, 'a part that the control plane cannot serve without failed');
    return { name, ok: false, detail: `it failed (${codeOf(error)})` };
  } finally {
    clearTimeout(timer);
  }
}
