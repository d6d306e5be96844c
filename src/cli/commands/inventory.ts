/** `sealpool import` and `sealpool export`. */
import { createWriteStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { ImportAnswer } from '../../api/client.ts';
import { SOURCES, detectSource, parseSource } from '../../import/detect.ts';
import type { ImportProblem, Source } from '../../import/records.ts';
import type { ParseOptions } from '../../import/values.ts';
import { FORMATS, type Format, headOf, lineOf } from '../../import/write.ts';
import { MinerId } from '../../schema/ids.ts';
import { SealProof } from '../../schema/seal-proof.ts';
import type { SectorRecord } from '../../schema/sector-record.ts';
import { type Command, type Session, UsageError, argument, text } from '../command.ts';
import { sentOnce } from '../once.ts';
import { plain, table } from '../text.ts';

/** Records of one request, and the characters of JSON above which it is sent earlier. */
const PAGE = 500;
const PAGE_CHARACTERS = 4 * 2 ** 20;
/** Lines of a table that a person would read; --json has them all. */
const MOST_SHOWN = 1_000;

function oneOf<T extends string>(value: string | undefined, name: string, known: readonly T[]): T | undefined {
  if (value === undefined || (known as readonly string[]).includes(value)) return value as T | undefined;
  throw new UsageError(`--${name} is ${JSON.stringify(value)}; it must be one of ${known.join(', ')}`);
}

function minerNamed({ values }: Session): MinerId | undefined {
  const named = text(values, 'miner');
  if (named === undefined) return undefined;
  const miner = MinerId.safeParse(named);
  if (!miner.success) throw new UsageError(`--miner is ${JSON.stringify(named)}; a miner is written t01000`);
  return miner.data;
}

function parseOptions(session: Session): ParseOptions {
  const { values } = session;
  const [storage, root] = [text(values, 'storage'), text(values, 'root')];
  if (storage === undefined && root !== undefined)
    throw new UsageError('--root is the folder of a storage; name that as well, with --storage');
  const miner = minerNamed(session);
  return {
    miner,
    prefix: oneOf(text(values, 'prefix'), 'prefix', ['t', 'f'] as const) ?? (miner?.startsWith('f') === true ? 'f' : 't'),
    sealProof: oneOf(text(values, 'seal-proof'), 'seal-proof', SealProof.options),
    storage: storage === undefined ? undefined : { storage, root: root ?? '' },
  };
}

async function contents(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ERR_STRING_TOO_LONG' || error.code === 'ERR_FS_FILE_TOO_LARGE')
      throw new UsageError(`${path} is too large to be read at once; split it by sectors and import the parts one after another`);
    throw new UsageError(`${path} cannot be read (${error.code}); name a file that can`);
  });
}

/** Pages as they are sent: so many records, and not too much JSON. */
function* pages(records: readonly SectorRecord[]): Generator<SectorRecord[]> {
  let [page, characters]: [SectorRecord[], number] = [[], 0];
  for (const record of records) {
    const length = JSON.stringify(record).length;
    if (page.length === PAGE || (page.length > 0 && characters + length > PAGE_CHARACTERS)) {
      yield page;
      [page, characters] = [[], 0];
    }
    page.push(record);
    characters += length;
  }
  if (page.length > 0) yield page;
}

function recordTable(records: readonly SectorRecord[]): string {
  const data = ({ pieces }: { pieces: SectorRecord['pieces'] }): string => {
    const held = pieces.filter(({ filler }) => filler !== true).length;
    return held === 0 ? 'CC' : `${held} ${held === 1 ? 'piece' : 'pieces'}`;
  };
  const rows = records
    .slice(0, MOST_SHOWN)
    .map((record) => [
      `s-${record.miner}-${record.number}`,
      record.sealProof,
      record.ticket === null ? null : `${record.ticket.epoch}${record.ticket.value === null ? ' (no value)' : ''}`,
      data(record),
      record.update === null ? null : data(record.update),
      record.files?.storage ?? null,
      record.commR.cid,
    ]);
  return table(['sector', 'seal proof', 'ticket epoch', 'data', 'update', 'storage', 'CommR'], rows) + more(records.length);
}

const more = (count: number): string => (count > MOST_SHOWN ? `\nand ${count - MOST_SHOWN} more, all of them with --json` : '');

function problemTable(problems: readonly ImportProblem[]): string {
  if (problems.length === 0) return '';
  const rows = problems.slice(0, MOST_SHOWN).map(({ where, sentence }) => `  ${plain(where)}: ${plain(sentence)}`);
  return `\n\nNot taken from the file:\n${rows.join('\n')}${more(problems.length)}`;
}

type Outcome = ImportAnswer & { source: Source; dryRun: boolean; problems: readonly ImportProblem[] };

function outcomeText({ imported, unchanged, refused, problems, source }: Outcome): string {
  const rows = refused.slice(0, MOST_SHOWN).map(({ sector, reason }) => `  ${plain(sector)}: ${plain(reason)}`);
  return [
    `${imported} sectors imported from ${source}, ${unchanged} known already, ${refused.length} refused, ${problems.length} problems in the file`,
    ...(rows.length === 0 ? [] : ['', 'Refused:', ...rows, more(refused.length).trim()].filter((line, at) => at < 2 || line !== '')),
  ].join('\n');
}

async function importFile(session: Session): Promise<void> {
  const { client, values, positionals, show } = session;
  const options = parseOptions(session);
  const path = argument(positionals, 0);
  const file = await contents(path);
  const source = oneOf(text(values, 'from'), 'from', SOURCES) ?? detectSource(file);
  if (source === undefined)
    throw new UsageError(`${path} looks like none of ${SOURCES.join(', ')}; name its form with --from (docs/import.md)`);
  const { records, problems } = parseSource(source, file, options);
  const outcome: Outcome = { source, dryRun: values['dry-run'] === true, imported: 0, unchanged: 0, refused: [], problems };
  if (outcome.dryRun) {
    const head = `${records.length} sectors would be taken from ${source}; nothing was sent`;
    return show({ ...outcome, records }, () => `${head}\n${recordTable(records)}${problemTable(problems)}`);
  }
  for (const page of pages(records)) {
    const answer = await sentOnce((idempotencyKey) => client.importSectors(page, { idempotencyKey }));
    outcome.imported += answer.imported;
    outcome.unchanged += answer.unchanged;
    outcome.refused.push(...answer.refused);
  }
  show(outcome, (shown) => outcomeText(shown) + problemTable(shown.problems));
}

/** All records, page by page. */
async function* exported({ client }: Session, miner: MinerId | undefined): AsyncGenerator<SectorRecord> {
  for (let cursor: string | undefined; ;) {
    const page = await client.exportSectors({ miner, cursor, limit: PAGE });
    yield* page.items;
    if (page.cursor === null) return;
    cursor = page.cursor;
  }
}

async function exportFile(session: Session): Promise<void> {
  const { values, line, show } = session;
  const format: Format = oneOf(text(values, 'format'), 'format', FORMATS) ?? 'json';
  const [miner, path] = [minerNamed(session), text(values, 'out')];
  const write = path === undefined ? ofLines(line) : await ofFile(path);
  let count = 0;
  await write.add(headOf(format));
  for await (const record of exported(session, miner)) {
    await write.add(lineOf(format, record));
    count += 1;
  }
  await write.end();
  if (path !== undefined) show({ sectors: count, file: path, format }, () => `${count} sectors written to ${path}`);
}

type Out = { add(text: string): Promise<void>; end(): Promise<void> };

/** `line` ends each line itself. */
function ofLines(line: Session['line']): Out {
  return {
    add: async (added) => {
      if (added !== '') line(added.replace(/\r?\n$/, ''));
    },
    end: async () => undefined,
  };
}

/** A new file; one that is there already is not written over. */
async function ofFile(path: string): Promise<Out> {
  const stream = createWriteStream(path, { flags: 'wx' });
  const failed = new Promise<never>((_resolve, reject) => {
    stream.on('error', (error: NodeJS.ErrnoException) =>
      reject(new UsageError(`${path} cannot be written (${error.code}); name a new file in a folder with room for it`)),
    );
  });
  failed.catch(() => undefined);
  const done = (start: (then: () => void) => void): Promise<void> => Promise.race([failed, new Promise<void>(start)]);
  return {
    add: (added) => done((then) => void stream.write(added, () => then())),
    end: () => done((then) => void stream.end(then)),
  };
}

export const INVENTORY_COMMANDS: readonly Command[] = [
  {
    words: 'import',
    takes: 'FILE [--from SOURCE] [--miner M] [--seal-proof P] [--storage ID [--root DIR]] [--prefix t|f] [--dry-run]',
    about: `take existing sectors over from a file of ${SOURCES.join(', ')} (found out without --from)`,
    options: {
      from: { type: 'string' },
      miner: { type: 'string' },
      'seal-proof': { type: 'string' },
      storage: { type: 'string' },
      root: { type: 'string' },
      prefix: { type: 'string' },
      'dry-run': { type: 'boolean' },
    },
    positionals: [1, 1],
    run: importFile,
  },
  {
    words: 'export',
    takes: `[--miner M] [--format ${FORMATS.join('|')}] [--out FILE]`,
    about: 'write down what is known of all sectors, one a line',
    options: { miner: { type: 'string' }, format: { type: 'string' }, out: { type: 'string', short: 'o' } },
    run: exportFile,
  },
];
