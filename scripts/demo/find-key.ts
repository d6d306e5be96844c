/** Looks for a secret wherever a process or its files could have it. */
import { closeSync, openSync, readFileSync, readSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

const CHUNK_BYTES = 4 * 2 ** 20;

/** Where `secrets` are found: arguments, environment and memory of the process and of all that it began, and files below `folders`. */
export function placesOf(secrets: readonly string[], pid: string, folders: readonly string[]): string[] {
  const needles = secrets.map((text) => Buffer.from(text));
  const found: string[] = [];
  for (const one of [pid, ...below(pid)]) {
    for (const file of ['cmdline', 'environ']) if (inFile(`/proc/${one}/${file}`, needles)) found.push(`/proc/${one}/${file}`);
    if (inMemory(one, needles)) found.push(`the memory of process ${one}`);
  }
  for (const folder of folders) for (const file of files(folder)) if (inFile(file, needles)) found.push(file);
  return found;
}

/** Processes that it began, and theirs. */
function below(pid: string): string[] {
  const all = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const parents = new Map(all.map((one) => [one, /^PPid:\s+(\d+)/m.exec(textOf(`/proc/${one}/status`))?.[1]]));
  const own = (of: string): string[] => all.filter((one) => parents.get(one) === of).flatMap((one) => [one, ...own(one)]);
  return own(pid);
}

function* files(path: string): Generator<string> {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found?.isFile() === true) yield path;
  if (found?.isDirectory() === true) for (const name of readdirSync(path)) yield* files(join(path, name));
}

/** Pages that it may write: whatever it was told stands there. */
function inMemory(pid: string, needles: readonly Buffer[]): boolean {
  const regions = textOf(`/proc/${pid}/maps`)
    .split('\n')
    .flatMap((line) => {
      const [, from, to] = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line) ?? [];
      return from === undefined || to === undefined ? [] : [[Number.parseInt(from, 16), Number.parseInt(to, 16)] as const];
    });
  const file = opened(`/proc/${pid}/mem`);
  if (file === undefined) return false;
  try {
    return regions.some(([from, to]) => inRange(file, from, to, needles));
  } finally {
    closeSync(file);
  }
}

function inFile(path: string, needles: readonly Buffer[]): boolean {
  const file = opened(path);
  if (file === undefined) return false;
  try {
    return inRange(file, 0, Number.MAX_SAFE_INTEGER, needles);
  } finally {
    closeSync(file);
  }
}

/** Reads with an overlap, so that nothing hides between two chunks. */
function inRange(file: number, from: number, to: number, needles: readonly Buffer[]): boolean {
  const overlap = Math.max(...needles.map(({ length }) => length)) - 1;
  const buffer = Buffer.alloc(CHUNK_BYTES);
  for (let at = from; at < to;) {
    let got = 0;
    try {
      got = readSync(file, buffer, 0, Math.min(CHUNK_BYTES, to - at), at);
    } catch {
      // A region of the kernel's, or one that was given back meanwhile.
      return false;
    }
    const part = buffer.subarray(0, got);
    if (needles.some((needle) => part.includes(needle))) return true;
    if (got <= overlap) return false;
    at += got - overlap;
  }
  return false;
}

function opened(path: string): number | undefined {
  try {
    return openSync(path, 'r');
  } catch {
    return undefined;
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
