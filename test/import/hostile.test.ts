/** Files that are broken or meant to break: every bad row is told, and the good ones beside it are taken. */
import { describe, expect, test } from 'vitest';
import { parseCsv } from '../../src/import/csv.ts';
import { detectSource, parseSource } from '../../src/import/detect.ts';
import type { Parsed, Source } from '../../src/import/records.ts';
import { lineOf } from '../../src/import/write.ts';
import type { SectorRecord } from '../../src/schema/sector-record.ts';
import { NAMED, OPTIONS, RECORDS, fixture } from './sectors.ts';

const [CC, DATA, UPGRADED] = RECORDS as [SectorRecord, SectorRecord, SectorRecord];
const numbers = ({ records }: Parsed): number[] => records.map(({ number }) => number);
const sentences = ({ problems }: Parsed): string => problems.map(({ where, sentence }) => `${where}: ${sentence}`).join('\n');

/** A CSV with sector 7 as it is and then a row of other cells. */
const HEAD = 'sector,comm_r,comm_d,pieces,ticket_epoch,ticket,precommit\n';
const csv = (row: string): string => `${HEAD}7,${CC.commR.cid}\n${row}\n`;

describe('a row of a CSV', () => {
  test.each([
    ['a sector number beyond every number', `99999999999999999999,${CC.commR.cid}`, /sector number is "99999999999999999999"; it must be/],
    ['a number in scientific writing', `1e3,${CC.commR.cid}`, /sector number is "1e3"/],
    ['a negative number', `-8,${CC.commR.cid}`, /sector number is "-8"/],
    ['a NUL in it', `8\u0000,${CC.commR.cid}`, /sector number is "8\\u0000"/],
    ['no CommR', '8,', /CommR is ""; it must be a CID that begins with bagboea4b5ab/],
    ['a CommD as CommR', `8,${CC.commD?.cid}`, /CommR is "baga6.*must be a CID that begins with bagboea4b5ab/],
    ['a CID with a letter changed', `8,${CC.commR.cid.slice(0, -1)}8`, /CommR is "bagbo.*must be a CID/],
    ['a formula', `"=HYPERLINK(""http://x"",""8"")",${CC.commR.cid}`, /sector number is "=HYPERLINK/],
    ['pieces without sizes', `8,${CC.commR.cid},,${DATA.pieces[0]?.cid}`, /must be its CID, a colon, and its padded size/],
    ['pieces of unpadded size', `8,${CC.commR.cid},,${DATA.pieces[0]?.cid}:508`, /pieces cannot be right: .*power of two.*padded ones/],
    ['pieces larger than the sector', `8,${CC.commR.cid},,${DATA.pieces[0]?.cid}:4096`, /pieces cannot be right: .*sector is 2048/],
    ['a piece of 2^60 bytes', `8,${CC.commR.cid},,${DATA.pieces[0]?.cid}:1152921504606846976`, /size of piece 0 is/],
    ['pieces that do not give its CommD', `8,${CC.commR.cid},${DATA.commD?.cid},${DATA.pieces[0]?.cid}:512`, /1 listed pieces give CommD/],
    ['data without its pieces', `8,${CC.commR.cid},${DATA.commD?.cid},`, /0 listed pieces give CommD .* export again with all its pieces/],
    ['a ticket of 31 bytes', `8,${CC.commR.cid},,,5,${'ab'.repeat(31)}`, /ticket is "abab.*must be 32 bytes/],
    ['a ticket without epoch', `8,${CC.commR.cid},,,,${'ab'.repeat(32)}`, /ticket without its epoch; add the epoch/],
    ['a message that is no CID', `8,${CC.commR.cid},,,,,$(reboot)`, /pre-commit message is "\$\(reboot\)"; it must be the CID/],
    ['one cell too many', `8,${CC.commR.cid},,,,,,surplus`, /has 8 cells and the first row 7; put cells with commas in quotes/],
    ['a quote within a cell', `8,${CC.commR.cid},,"a"b`, /a quote is not closed or stands within a cell/],
    ['a quote that is never closed', `"8,${CC.commR.cid}`, /a quote is not closed/],
    ['a quote that is never closed before much text', `"8,${'a""'.repeat(50_000)}`, /a quote is not closed/],
    ['very long nonsense', `${'9'.repeat(100_000)},${CC.commR.cid}`, /sector number is "9{80}…"/],
  ])('with %s is told, and the one beside it is taken', (_what, row, reason) => {
    const parsed = parseCsv(`${csv(row)}9,${UPGRADED.commR.cid}\n`, NAMED);
    expect(sentences(parsed)).toMatch(reason);
    expect(parsed.problems).toHaveLength(1);
    expect(parsed.problems[0]?.where).toMatch(/^line 3/);
    expect(numbers(parsed)).toEqual([7, 9]);
  });

  test('a first row that lacks or repeats columns takes nothing', () => {
    expect(sentences(parseCsv('sector;comm_r\n7;x\n', NAMED))).toMatch(/has no column sector and no column comm_r; it must name/);
    expect(sentences(parseCsv('sector,comm_r,sector\n', NAMED))).toMatch(/names column "sector" twice/);
    expect(sentences(parseCsv('', NAMED))).toMatch(/must name the columns: miner,sector/);
    expect(sentences(parseCsv(`sector,comm_r,note\n7,${CC.commR.cid},x\n`, NAMED))).toMatch(/column "note" is not known and was left out/);
  });

  test('names that JavaScript objects have are no columns', () => {
    const parsed = parseCsv(`sector,comm_r,__proto__,constructor\n7,${CC.commR.cid},x,y\n`, NAMED);
    expect(numbers(parsed)).toEqual([7]);
    expect(parsed.problems).toHaveLength(2);
  });
});

test('the same sector twice with the same contents is one; with different ones it is none', () => {
  const line = lineOf('json', CC);
  expect(parseSource('sealpool', line + line, OPTIONS)).toEqual({ records: [CC], problems: [] });
  const other = lineOf('json', { ...CC, commR: DATA.commR });
  const parsed = parseSource('sealpool', line + other + lineOf('json', DATA), OPTIONS);
  expect(numbers(parsed)).toEqual([8]);
  expect(sentences(parsed)).toMatch(/line 2.*s-t01000-7 stands here and at line 1.*different contents; neither is taken/);
  // The two spellings of a miner are one miner.
  expect(numbers(parseSource('sealpool', line + lineOf('json', { ...CC, miner: 'f01000' as SectorRecord['miner'] }), OPTIONS))).toEqual([]);
});

test('sectors of several miners are all taken when none is named', () => {
  const theirs = { ...CC, miner: 't01001' as SectorRecord['miner'] };
  const text = lineOf('json', CC) + lineOf('json', theirs);
  expect(parseSource('sealpool', text, OPTIONS).records).toEqual([CC, theirs]);
  const named = parseSource('sealpool', text, NAMED);
  expect(named.records).toEqual([CC]);
  expect(sentences(named)).toMatch(/line 2.*of miner t01001 and --miner names t01000/);
});

describe('our own form, edited', () => {
  test.each<[string, (record: any) => void, RegExp]>([
    [
      'hex digits of another CommR',
      (r) => (r.commR.hex = UPGRADED.commR.hex),
      /hex digits of one of its commitments are not those of its CID/,
    ],
    ['an offset that was moved', (r) => (r.pieces[1].offsetBytes = '1024'), /offsets of its pieces are not where they must stand/],
    ['a piece left out', (r) => r.pieces.splice(1, 1), /listed pieces give CommD/],
    ['a field of another type', (r) => (r.number = '8'), /no record of sealpool export.* at number/],
    ['no CommR', (r) => delete r.commR, /no record of sealpool export.* at commR/],
  ])('%s is refused', (_what, edit, reason) => {
    const record = structuredClone(DATA);
    edit(record);
    for (const between of ['\n', '']) {
      const parsed = parseSource('sealpool', JSON.stringify(record) + between + lineOf('json', CC), OPTIONS);
      expect(sentences(parsed)).toMatch(reason);
      expect(numbers(parsed)).toEqual([7]);
    }
  });
});

describe('JSON that is broken', () => {
  const good = JSON.stringify(CC);
  test.each([
    ['a line cut off', `${good.slice(0, 99)}\n${good}\n`, [7], /line 1: a JSON value begins here and is broken/],
    ['a line that is no object', `${good}\n42\n`, [7], /line 2: a sector is expected here and there is "42"/],
    [
      'an array that ends in the middle',
      `[\n${JSON.stringify(DATA)},\n${good},\n${good.slice(0, 50)}`,
      [8, 7],
      /line 4: a JSON value begins here and is broken/,
    ],
    ['values one after another, spread over lines', `${JSON.stringify(CC, null, 2)}\n${JSON.stringify(DATA, null, 2)}`, [7, 8], /^$/],
    ['one on a line beside one spread over lines', `${JSON.stringify(CC)}\n${JSON.stringify(DATA, null, 2)}\n`, [7, 8], /^$/],
    [
      'the last of them cut off',
      `${JSON.stringify(CC, null, 2)}\n{\n "number": "a}", `,
      [7],
      /line \d+: a JSON value begins here and is broken/,
    ],
    ['arrays in arrays without end', `${'['.repeat(50_000)}${']'.repeat(50_000)}`, [], /a sector is expected here/],
    [
      'an answer of a failed call',
      `{"jsonrpc":"2.0","error":{"message":"no"},"id":1}\n${good}`,
      [7],
      /line 1: this is the answer of a failed call/,
    ],
    ['a field named like a prototype', `{"__proto__":{"number":1},"number":null}\n${good}`, [7], /line 1: it is no record/],
    ['nothing at all', '', [], /^$/],
  ])('%s', (_what, text, taken, reason) => {
    const parsed = parseSource('sealpool', text, OPTIONS);
    expect(numbers(parsed)).toEqual(taken);
    expect(sentences(parsed)).toMatch(reason);
  });
});

describe('sources that say a sector is not to be had', () => {
  const lotus = (change: Record<string, unknown>) => {
    const [first, ...rest] = JSON.parse(fixture('lotus-sectors.json')) as Record<string, unknown>[];
    return parseSource('lotus', JSON.stringify([{ ...first, ...change }, ...rest]), NAMED);
  };
  const damocles = (change: Record<string, unknown>) => {
    const [first, ...rest] = fixture('damocles-state.jsonl').trim().split('\n');
    return parseSource('damocles', [JSON.stringify({ ...JSON.parse(first as string), ...change }), ...rest].join('\n'), NAMED);
  };
  test.each([
    ['lotus: terminated', lotus({ State: 'TerminateFinality' }), /it is no more/],
    ['lotus: sealing', lotus({ State: 'WaitSeed' }), /still works on it/],
    ['lotus: an update under way', lotus({ State: 'ProveReplicaUpdate', CCUpdate: true }), /still works on it/],
    ['lotus: the first seal proofs', lotus({ SectorType: 3 }), /seal proof is "3"; Sealpool handles/],
    ['lotus: no ticket value, but an epoch', lotus({ TicketValue: 'AAAA' }), /ticket is "AAAA"/],
    ['damocles: removed', damocles({ Removed: true }), /has removed it/],
    ['damocles: aborted', damocles({ AbortReason: 'aborted via CLI\u001b[2J' }), /has aborted it \("aborted via CLI\\u001b/],
    ['damocles: rebuilding', damocles({ Finalized: false }), /Finalized: false/],
    ['damocles: upgraded in lotus', damocles({ Upgraded: true, UpgradedInfo: { SealedCID: null } }), /UpgradedInfo has no SealedCID/],
    ['damocles: a CommR of 33 numbers', damocles({ Pre: { CommR: Array.from({ length: 33 }, () => 1) } }), /CommR is "\[1,1,/],
  ])('%s', (_what, parsed, reason) => {
    expect(numbers(parsed)).toEqual([8, 9]);
    expect(sentences(parsed)).toMatch(reason);
  });
});

test('what Go may print for 32 bytes is read alike', () => {
  const [line] = fixture('damocles-state.jsonl').split('\n');
  const state = JSON.parse(line as string);
  const bytes = [...Buffer.from(CC.commR.hex, 'hex')];
  for (const CommR of [bytes, Buffer.from(bytes).toString('base64'), CC.commR.hex.toUpperCase(), `0x${CC.commR.hex}`, CC.commR.cid]) {
    const ticket = { Ticket: [...Buffer.from(CC.ticket?.value ?? '', 'hex')], Epoch: 1007 };
    const text = JSON.stringify({ ...state, Ticket: ticket, Pre: { ...state.Pre, CommR } });
    expect(parseSource('damocles', text, OPTIONS).records).toEqual([{ ...CC, source: 'damocles' }]);
  }
});

describe('a dump of Curio', () => {
  const dump = fixture('curio-copy.sql');
  test.each<[string, string, number[], RegExp]>([
    ['a row with too few columns', dump.replace(/\t7\t5\t/, '\t7\t'), [8, 9], /line 22: sectors_meta has 22 columns and this row 21/],
    [
      'cut off within a table',
      dump.slice(0, dump.indexOf('\n1000\t9\t', dump.indexOf('sectors_meta_pieces (')) + 1),
      [7, 8],
      /ends within table sectors_meta_pieces/,
    ],
    [
      'without the pieces',
      dump.slice(0, dump.indexOf('COPY curio.sectors_meta_pieces')),
      [7],
      /0 listed pieces give CommD .* export again with all/,
    ],
    [
      'without the sectors',
      dump.replace('COPY curio.sectors_meta ', 'COPY curio.other '),
      [],
      /which sectors_meta does not have; dump both/,
    ],
    ['a backslash and a tab in a value', dump.replace('SDR', 'S\\\\D\\tR'), [7, 8, 9], /^$/],
  ])('%s', (_what, text, taken, reason) => {
    const parsed = parseSource('curio', text, OPTIONS);
    expect(numbers(parsed)).toEqual(taken);
    expect(sentences(parsed)).toMatch(reason);
  });

  test('an INSERT that cannot be read costs its rows only', () => {
    const inserts = fixture('curio-inserts.sql').replace('VALUES (1000, 7,', "VALUES (1000, '7,");
    const parsed = parseSource('curio', inserts, OPTIONS);
    expect(numbers(parsed)).toEqual([8, 9]);
    expect(sentences(parsed)).toMatch(/line 2: a row of this INSERT into sectors_meta cannot be read/);
  });
});

describe("lotus-miner's datastore", () => {
  const listing = fixture('lotus-datastore.txt').split('\n');
  test.each<[string, string | undefined, RegExp]>([
    ['escaped instead of hex', '\t\\xa2eState', /list the datastore with --get-enc hex/],
    ['cut off', listing[1]?.slice(0, 401), /no hex digits|no CBOR of a sector/],
    ['followed by the next key', '/sectors/8', /list the datastore with --get-enc hex/],
    ['nested without end', `\t${'81'.repeat(20_000)}`, /no CBOR of a sector/],
    ['of an array', '\t8101', /CommD|CommR|seal proof|pieces/],
  ])('%s', (_what, value, reason) => {
    const parsed = parseSource('lotus', ['/sectors/7', value, ...listing.slice(4)].join('\n'), { prefix: 't', miner: CC.miner });
    expect(sentences(parsed)).toMatch(reason);
    expect(numbers(parsed)).toContain(9);
    expect(numbers(parsed)).not.toContain(7);
  });
});

test.each<[string, Source | undefined]>([
  ['', undefined],
  ['hello', undefined],
  ['[1,2]', undefined],
  ['\u0000\u0000', undefined],
  ['{"a":{}}', undefined],
  ['\ufeffsector,comm_r\r\n', 'csv'],
])('%j looks like %s', (text, source) => {
  expect(detectSource(text)).toBe(source);
});
