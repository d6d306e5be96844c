/** Times requests, and reads their answers whole. */

export interface Figure {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly slowestMs: number;
}

/** A server and the token to ask it with. */
export interface Asked {
  readonly url: string;
  readonly token: string;
}

export interface Answer {
  readonly ms: number;
  readonly body: { readonly items?: readonly { readonly id?: string }[]; readonly cursor?: string | null };
}

/** One request, from before it is sent until its answer is read and parsed. Throws what is not an answer. */
export async function ask({ url, token }: Asked, path: string): Promise<Answer> {
  const startedMs = performance.now();
  const response = await fetch(`${url}${path}`, { headers: { authorization: `Bearer ${token}` } });
  const body = (await response.json()) as Answer['body'];
  const ms = performance.now() - startedMs;
  if (!response.ok) throw new Error(`GET ${path} was answered ${response.status}: ${JSON.stringify(body)}`);
  return { ms, body };
}

/** The middle, the 99th of a hundred (nearest rank) and the worst of some times. */
export function figure(times: readonly number[]): Figure {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (index: number): number => sorted[Math.max(0, index)] ?? Number.NaN;
  return { p50Ms: at(Math.floor(sorted.length / 2)), p99Ms: at(Math.ceil(sorted.length * 0.99) - 1), slowestMs: at(sorted.length - 1) };
}

/** Asks for each path `rounds` times, one after another. */
export async function times(asked: Asked, paths: readonly string[], rounds: number): Promise<Figure> {
  const all: number[] = [];
  for (let round = 0; round < rounds; round += 1) for (const path of paths) all.push((await ask(asked, path)).ms);
  return figure(all);
}
