/** Which source a file is of, and its records. */
import { parseCsv } from './csv.ts';
import { parseCurio } from './curio.ts';
import { parseDamocles } from './damocles.ts';
import { jsonEntries } from './json-entries.ts';
import { parseLotus } from './lotus.ts';
import type { Parsed, Source } from './records.ts';
import { parseSealpool } from './sealpool.ts';
import type { ParseOptions } from './values.ts';

const PARSERS: Readonly<Record<Source, (text: string, options: ParseOptions) => Parsed>> = {
  lotus: parseLotus,
  damocles: parseDamocles,
  curio: parseCurio,
  csv: parseCsv,
  sealpool: parseSealpool,
};

/** The sources that can be named. */
export const SOURCES = Object.keys(PARSERS) as readonly Source[];

/** Reads a file of that source. */
export function parseSource(source: Source, text: string, options: ParseOptions): Parsed {
  return PARSERS[source](text, options);
}

/** The source that a file looks like, or undefined when it looks like none. */
export function detectSource(text: string): Source | undefined {
  if (/^[\ufeff\s]*[[{]/.test(text)) return detectJson(text);
  if (/^(?:COPY|INSERT INTO) (?:"?\w+"?\.)?"?sectors_meta(?:_pieces)?"?[ (]/im.test(text)) return 'curio';
  if (/^SectorID:[ \t]/m.test(text) || /^\S*\/?sectors\/[0-9]+\s*$/m.test(text)) return 'lotus';
  if (/^Sector s-[tf]0[0-9]+-[0-9]+:/m.test(text)) return 'damocles';
  const head = text.replace(/^\ufeff/, '').split(/\r?\n/, 1)[0] ?? '';
  return /(^|,)\s*"?(?:sector|comm_r)"?\s*(,|$)/i.test(head) ? 'csv' : undefined;
}

/** By the fields of the first sectors. */
function detectJson(text: string): Source | undefined {
  for (const { value } of jsonEntries(text).entries.slice(0, 20)) {
    const has = (...names: string[]): boolean => names.every((name) => Object.hasOwn(value, name));
    if (has('sealProof', 'commR')) return 'sealpool';
    if (has('ID', 'SectorType')) return 'damocles';
    if (has('SectorNumber') || has('SectorID')) return 'lotus';
  }
  return undefined;
}
