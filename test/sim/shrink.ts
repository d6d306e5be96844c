/** Cuts a failing script down: lines, jobs and machines are left out as long as the same promise breaks. */
import { type Outcome, play } from './play.ts';
import type { Item, Script } from './script.ts';

/** The shortest script found that still breaks the promise that `script` breaks; `undefined`: it breaks none. */
export async function shrink(
  script: Script,
  path: string,
  told: (line: string) => void,
): Promise<{ script: Script; outcome: Outcome } | undefined> {
  const first = await play(script, path);
  if (first.promise === undefined) return undefined;
  let best = { script, outcome: first };
  const attempt = async (smaller: Script): Promise<boolean> => {
    const outcome = await play(smaller, path);
    if (outcome.promise !== first.promise) return false;
    best = { script: smaller, outcome };
    told(`${smaller.items.length} lines: ${outcome.broken?.slice(0, 120)}`);
    return true;
  };
  for (let again = true; again;) {
    again = false;
    for (let size = Math.max(1, best.script.items.length >> 1); size >= 1; size = size === 1 ? 0 : size >> 1) {
      for (let at = 0; at < best.script.items.length;) {
        const items = best.script.items.toSpliced(at, size);
        if (await attempt({ ...best.script, items })) again = true;
        else at += size;
      }
    }
    for (let at = 0; at < best.script.items.length; at += 1) {
      for (const simpler of simplified(best.script.items[at] as Item)) {
        if (await attempt({ ...best.script, items: best.script.items.with(at, simpler) })) again = true;
      }
    }
    for (let at = best.script.runners.length - 1; at > 0; at -= 1) {
      if (await attempt({ ...best.script, runners: best.script.runners.toSpliced(at, 1) })) again = true;
    }
    if (best.script.threads > 1 && (await attempt({ ...best.script, threads: 1 }))) again = true;
  }
  return best;
}

/** The same line with less in it. */
function* simplified(item: Item): Generator<Item> {
  if (item.do === 'port' && item.count > 1) yield { ...item, count: 1 };
  if (item.do === 'pledge' && (item.pieces ?? 0) > 0) {
    const { pieces: _, ...rest } = item;
    yield rest;
  }
  if ('force' in item && item.force) yield { ...item, force: false };
}
