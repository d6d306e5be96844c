/** RFC 4180: rows of quoted or plain cells, and cells that a spreadsheet would run as a formula. */

export type CsvRow = { readonly line: number; readonly cells: readonly string[] };
export type CsvRows = { readonly rows: CsvRow[]; readonly problems: { where: string; sentence: string }[] };

const CELL = /"([^"]*(?:""[^"]*)*)"(?=[,\r\n]|$)|([^",\r\n]*)(?=[,\r\n]|$)/y;

/** Rows with the line each begins on; empty lines are left out. A row with a stray quote becomes a problem, the next line goes on. */
export function csvRows(text: string): CsvRows {
  const found: CsvRows = { rows: [], problems: [] };
  let [at, line] = [text.startsWith('\ufeff') ? 1 : 0, 1];
  while (at < text.length) {
    const row = rowAt(text, at);
    if (row === undefined) {
      found.problems.push({
        where: `line ${line}`,
        sentence: 'a quote is not closed or stands within a cell; double quotes in cells, and put the cell in quotes',
      });
      const end = text.indexOf('\n', at);
      at = end === -1 ? text.length : end + 1;
      line += 1;
      continue;
    }
    if (row.cells.length > 1 || row.cells[0] !== '') found.rows.push({ line, cells: row.cells });
    for (let passed = at; passed < row.end; passed += 1) if (text[passed] === '\n') line += 1;
    at = row.end;
  }
  return found;
}

function rowAt(text: string, from: number): { cells: string[]; end: number } | undefined {
  const cells: string[] = [];
  for (let at = from; ;) {
    CELL.lastIndex = at;
    const cell = CELL.exec(text);
    if (cell === null) return undefined;
    cells.push(fromFormula(cell[1] === undefined ? (cell[2] as string) : cell[1].replaceAll('""', '"')));
    at = CELL.lastIndex;
    if (text[at] === ',') at += 1;
    else if (text.startsWith('\r\n', at)) return { cells, end: at + 2 };
    else return { cells, end: Math.min(at + 1, text.length) };
  }
}

/** One row with its line end. */
export function csvLine(cells: readonly string[]): string {
  return `${cells.map((cell) => quotedCell(againstFormula(cell))).join(',')}\r\n`;
}

const quotedCell = (cell: string): string => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);

/** A spreadsheet runs cells that begin with = + - @ as formulas; an apostrophe before them keeps it from that. */
const againstFormula = (cell: string): string => (/^'*[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell);
const fromFormula = (cell: string): string => (/^'+[=+\-@\t\r]/.test(cell) ? cell.slice(1) : cell);
