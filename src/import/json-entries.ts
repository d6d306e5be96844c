/** JSON as tools leave it in files: one value, an array, one value a line, values one after another, JSON-RPC answers. */
import { quoted } from './values.ts';

export type JsonEntry = { readonly where: string; readonly value: Record<string, unknown> };
export type JsonEntries = { readonly entries: JsonEntry[]; readonly problems: { where: string; sentence: string }[] };

/** Arrays in arrays, as far as a tool would nest them. */
const DEEPEST = 4;

/** All objects of a text; arrays and JSON-RPC answers are opened. A broken one costs only itself. */
export function jsonEntries(text: string): JsonEntries {
  const found: JsonEntries = { entries: [], problems: [] };
  const whole = parsed(text);
  if (whole.ok) {
    open(whole.value, '', found);
    return found;
  }
  const { slices, stray } = topLevel(text);
  const values = slices.map((slice) => ({ where: slice.where, ...parsed(slice.text) }));
  const sound = !stray && values.every(({ ok }) => ok);
  // Where brackets do not match, lines are what is left to hold on to.
  const lines = sound ? [] : linesOf(text);
  const byLine = lines.some((line) => line.ok && isObject(line.value));
  for (const entry of byLine ? lines : values) {
    if (entry.ok) open(entry.value, entry.where, found);
    else found.problems.push({ where: entry.where, sentence: 'a JSON value begins here and is broken or cut off; export it again' });
  }
  return found;
}

/** Each line on its own; those of a list lose their comma. */
function linesOf(text: string) {
  const lines = text.split('\n').map((line, at) => ({ where: `line ${at + 1}`, text: line.trim().replace(/,$/, '') }));
  return lines.filter((line) => !['', '[', ']'].includes(line.text)).map((line) => ({ where: line.where, ...parsed(line.text) }));
}

function parsed(text: string): { ok: true; value: unknown } | { ok: false } {
  try {
    return { ok: true, value: JSON.parse(text) };
  } catch {
    return { ok: false };
  }
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

function open(value: unknown, where: string, into: JsonEntries, depth = 0): void {
  const at = (more: string): string => [where, more].filter((part) => part !== '').join(', ');
  if (Array.isArray(value) && depth < DEEPEST) {
    for (const [index, item] of value.entries()) open(item, at(`entry ${index + 1}`), into, depth + 1);
  } else if (!isObject(value)) {
    into.problems.push({ where: where || 'the file', sentence: `a sector is expected here and there is ${quoted(value)}; remove it` });
  } else if (Object.hasOwn(value, 'jsonrpc') && depth < DEEPEST) {
    if (Object.hasOwn(value, 'error'))
      into.problems.push({
        where: where || 'the file',
        sentence: `this is the answer of a failed call: ${quoted(value['error'])}; ask again`,
      });
    else open(value['result'], where, into, depth + 1);
  } else into.entries.push({ where: where || 'the file', value });
}

/** The top-level objects and arrays of a text, by their brackets, and whether anything else stands between them. */
function topLevel(text: string): { slices: { where: string; text: string }[]; stray: boolean } {
  const slices: { where: string; text: string }[] = [];
  let [depth, begin, line, beginLine, inString, stray] = [0, 0, 1, 1, false, false];
  for (let at = 0; at < text.length; at += 1) {
    const letter = text[at] as string;
    if (letter === '\n') line += 1;
    if (inString) {
      if (letter === '\\') at += 1;
      else if (letter === '"') inString = false;
    } else if (letter === '{' || letter === '[') {
      if (depth === 0) [begin, beginLine] = [at, line];
      depth += 1;
    } else if (depth === 0) {
      if (!/\s/.test(letter)) stray = true;
    } else if (letter === '"') inString = true;
    else if (letter === '}' || letter === ']') {
      depth -= 1;
      if (depth === 0) slices.push({ where: `line ${beginLine}`, text: text.slice(begin, at + 1) });
    }
  }
  if (depth > 0) slices.push({ where: `line ${beginLine}`, text: text.slice(begin) });
  return { slices, stray };
}
