/** Rows of a `pg_dump` (or `ysql_dump`): COPY blocks and INSERT statements, of the tables that are asked for. */

/** Column → text, or null for SQL's NULL. */
export type DumpRow = { readonly table: string; readonly where: string; readonly values: ReadonlyMap<string, string | null> };
export type Dump = { readonly rows: DumpRow[]; readonly problems: { where: string; sentence: string }[] };

const NAME = '(?:"?[\\w]+"?\\.)?"?([\\w]+)"?';
const COPY = new RegExp(`^COPY ${NAME} \\(([^)]*)\\) FROM stdin;\\s*$`, 'i');
const INSERT = new RegExp(`^INSERT INTO ${NAME}\\s*(?:\\(([^)]*)\\))?\\s*VALUES\\s*`, 'i');

/**
 * Rows of the tables in `usual`, which also says the order of their first columns for an INSERT that names none.
 * A row that cannot be read becomes a problem.
 */
export function dumpRows(text: string, usual: Readonly<Record<string, readonly string[]>>): Dump {
  const dump: Dump = { rows: [], problems: [] };
  let [at, line] = [0, 1];
  const next = (): string => {
    const end = text.indexOf('\n', at);
    const found = text.slice(at, end === -1 ? text.length : end);
    at = end === -1 ? text.length : end + 1;
    line += 1;
    return found.replace(/\r$/, '');
  };
  while (at < text.length) {
    const [begin, beginLine] = [at, line];
    const head = next();
    const copy = COPY.exec(head);
    if (copy !== null) copyBlock(copy, usual, dump, () => (at < text.length ? { row: next(), line: line - 1 } : undefined));
    const insert = copy === null ? INSERT.exec(head) : null;
    const table = insert?.[1]?.toLowerCase() ?? '';
    if (insert === null || !Object.hasOwn(usual, table)) continue;
    const [named, where] = [insert[2] !== undefined, `line ${beginLine}`];
    const columns = named ? names(insert[2] as string) : (usual[table] as readonly string[]);
    const end = insertRows(text, begin + insert[0].length, { table, columns, named, where }, dump);
    if (end === undefined) continue;
    for (let passed = at; passed <= end; passed += 1) if (text[passed] === '\n') line += 1;
    if (end >= at) at = end + 1;
  }
  return dump;
}

const names = (list: string): string[] => list.split(',').map((name) => name.trim().replaceAll('"', '').toLowerCase());

function copyBlock(
  [, name, list]: RegExpExecArray,
  usual: Readonly<Record<string, readonly string[]>>,
  dump: Dump,
  next: () => { row: string; line: number } | undefined,
): void {
  const table = (name as string).toLowerCase();
  const wanted = Object.hasOwn(usual, table);
  const columns = names(list as string);
  for (let found = next(); ; found = next()) {
    if (found === undefined) {
      dump.problems.push({ where: 'the end', sentence: `the file ends within table ${table}; it was cut off, dump it again` });
      return;
    }
    if (found.row === '\\.') return;
    if (!wanted) continue;
    const cells = found.row.split('\t');
    const where = `line ${found.line}`;
    if (cells.length === columns.length) dump.rows.push({ table, where, values: mapped(columns, cells.map(copyCell)) });
    else dump.problems.push({ where, sentence: `${table} has ${columns.length} columns and this row ${cells.length}; dump it again` });
  }
}

const mapped = (columns: readonly string[], cells: readonly (string | null)[]): Map<string, string | null> =>
  new Map(cells.slice(0, columns.length).map((cell, at) => [columns[at] as string, cell]));

const ESCAPES: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' };

/** COPY's text form: `\N` is NULL, a backslash escapes. */
function copyCell(cell: string): string | null {
  if (cell === '\\N') return null;
  return cell.replaceAll(/\\(x[0-9a-fA-F]{1,2}|[0-7]{1,3}|.)/g, (_, code: string) => {
    if (/^x./.test(code)) return String.fromCharCode(Number.parseInt(code.slice(1), 16));
    if (/^[0-7]/.test(code)) return String.fromCharCode(Number.parseInt(code, 8) & 0xff);
    return ESCAPES[code] ?? code;
  });
}

/** Tuples from `at` on until `;`. Answers where the statement ends, or undefined when it cannot be read further. */
function insertRows(
  text: string,
  at: number,
  { table, columns, named, where }: { table: string; columns: readonly string[]; named: boolean; where: string },
  dump: Dump,
): number | undefined {
  const VALUE = /\s*(?:(E)?'([^']*(?:''[^']*)*)'|([^\s,();']+))(?:::[\w ]+)?\s*([,)])/y;
  const bad = (): undefined => {
    dump.problems.push({
      where,
      sentence: `a row of this INSERT into ${table} cannot be read; dump it again, best as COPY (without --inserts)`,
    });
  };
  const OPEN = /\s*\(/y;
  const CLOSED = /\s*([,;])/y;
  for (let position = at; ;) {
    OPEN.lastIndex = position;
    if (!OPEN.test(text)) return bad();
    position = OPEN.lastIndex;
    const cells: (string | null)[] = [];
    for (let last = ','; last === ',';) {
      VALUE.lastIndex = position;
      const value = VALUE.exec(text);
      if (value === null) return bad();
      position = VALUE.lastIndex;
      last = value[4] as string;
      cells.push(insertCell(value));
    }
    // Columns that were added later follow those whose order is known.
    if (cells.length === columns.length || (!named && cells.length > columns.length))
      dump.rows.push({ table, where, values: mapped(columns, cells) });
    else dump.problems.push({ where, sentence: `${table} has ${columns.length} columns and this row ${cells.length}; dump it again` });
    CLOSED.lastIndex = position;
    const closed = CLOSED.exec(text);
    if (closed === null) return bad();
    position = CLOSED.lastIndex;
    if (closed[1] === ';') return position - 1;
  }
}

function insertCell([, escaped, quotedText, bare]: RegExpExecArray): string | null {
  if (bare !== undefined) return /^null$/i.test(bare) ? null : bare;
  const text = (quotedText as string).replaceAll("''", "'");
  return escaped === undefined ? text : text.replaceAll(/\\(.)/g, '$1');
}
