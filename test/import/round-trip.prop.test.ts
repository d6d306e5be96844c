/** What is written is read again as it was: our own JSON and CSV whole, the other two in what they carry. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { detectSource, parseSource } from '../../src/import/detect.ts';
import { type SizedPiece, placePieces } from '../../src/import/pieces.ts';
import type { Source } from '../../src/import/records.ts';
import { FORMATS, headOf, lineOf } from '../../src/import/write.ts';
import { commitmentOfHex } from '../../src/schema/commitment-cid.ts';
import { MinerId } from '../../src/schema/ids.ts';
import { SealProof, sealProofInfo } from '../../src/schema/seal-proof.ts';
import type { SectorRecord, StoredFiles } from '../../src/schema/sector-record.ts';

const hex32 = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString('hex'));
/** Any text, but for spaces around it: a cell of a table does not keep those. */
const text = fc
  .oneof(fc.string({ maxLength: 30, unit: 'binary' }), fc.constantFrom('=1+1', '@x', '-2', "'=", '"', 'a,b', 'a\nb', '\u0000x', '+;:'))
  .map((value) => value.trim())
  .filter((value) => value !== '' && !['null', 'NULL', '<nil>', 'b', '\\N'].includes(value));
const message = fc.option(
  fc
    .array(fc.constantFrom(...'abcdefghijklmnopqrstuvwxyz234567'), { minLength: 60, maxLength: 60 })
    .map((letters) => `b${letters.join('')}`),
);
const files: fc.Arbitrary<StoredFiles | null> = fc.option(
  fc.record({
    storage: text,
    root: fc.oneof(text, fc.constant('')),
    files: fc.option(
      fc.array(
        fc.record({ path: fc.string(), sizeBytes: fc.bigInt(0n, 2n ** 63n).map(String), hash: hex32.map((hex) => `sha256:${hex}`) }),
        { maxLength: 3 },
      ),
    ),
  }),
);

/** Pieces of random sizes that fit the sector, or none. */
function placed(sectorSizeBytes: number) {
  const largest = Math.log2(sectorSizeBytes);
  return fc.array(fc.tuple(hex32, fc.integer({ min: 7, max: largest })), { maxLength: 6 }).map((drawn) => {
    const pieces: SizedPiece[] = [];
    for (const [hex, power] of drawn) {
      const next = [...pieces, { commitment: commitmentOfHex('unsealed', hex), paddedSizeBytes: 2 ** power }];
      let end = 0;
      for (const { paddedSizeBytes } of next) end = Math.ceil(end / paddedSizeBytes) * paddedSizeBytes + paddedSizeBytes;
      if (end <= sectorSizeBytes) pieces.push(next.at(-1) as SizedPiece);
    }
    return placePieces(pieces, sectorSizeBytes);
  });
}

const record: fc.Arbitrary<SectorRecord> = fc.constantFrom(...SealProof.options).chain((sealProof) => {
  const data = placed(sealProofInfo(sealProof).sectorSizeBytes);
  const commR = hex32.map((hex) => commitmentOfHex('sealed', hex));
  return fc
    .record({
      miner: fc.tuple(fc.constantFrom('t', 'f'), fc.nat()).map(([prefix, id]) => MinerId.parse(`${prefix}0${id}`)),
      number: fc.maxSafeNat(),
      sealProof: fc.constant(sealProof),
      ticket: fc.option(fc.record({ epoch: fc.maxSafeNat(), value: fc.option(hex32) })),
      commR,
      data,
      update: fc.option(fc.record({ commR, data })),
      files,
      preCommit: message,
      proveCommit: message,
      replicaUpdate: message,
    })
    .map(({ data: { pieces, commD }, update, ...rest }) => ({
      ...rest,
      pieces,
      commD,
      update: update === null ? null : { commR: update.commR, ...update.data },
      source: 'sealpool',
    }));
});

const records = fc.uniqueArray(record, { maxLength: 5, minLength: 1, selector: ({ miner, number }) => `${miner.slice(1)}-${number}` });
const READ_AS = { json: 'sealpool', csv: 'csv', lotus: 'lotus', damocles: 'damocles' } as const satisfies Record<string, Source>;

test.each(['json', 'csv'] as const)('%s: export, then import, gives the same records', { timeout: 60_000 }, (format) => {
  fc.assert(
    fc.property(records, (written) => {
      const file = headOf(format) + written.map((one) => lineOf(format, one)).join('');
      expect(detectSource(file)).toBe(READ_AS[format]);
      const { records: read, problems } = parseSource(READ_AS[format], file, { prefix: 't' });
      expect(problems).toEqual([]);
      expect(read).toEqual(written.map((one) => ({ ...one, source: READ_AS[format] })));
    }),
    { numRuns: 100 },
  );
});

test.each(['lotus', 'damocles'] as const)(
  '%s: the same but for the places of files, and original pieces of an upgrade',
  { timeout: 60_000 },
  (format) => {
    fc.assert(
      fc.property(records, (written) => {
        // Both programs upgrade committed capacity only.
        const possible = written.filter(({ update, pieces, ticket }) => (update === null || pieces.length === 0) && ticket?.value !== null);
        const file = possible.map((one) => lineOf(format, { ...one, miner: MinerId.parse(`t${one.miner.slice(1)}`) })).join('');
        const { records: read, problems } = parseSource(READ_AS[format], file, { prefix: 't' });
        expect(problems).toEqual([]);
        const replicaUpdate = (one: SectorRecord) => (one.update === null && format === 'lotus' ? null : one.replicaUpdate);
        expect(read).toEqual(
          possible.map((one) => ({
            ...one,
            miner: `t${one.miner.slice(1)}`,
            files: null,
            source: format,
            replicaUpdate: replicaUpdate(one),
          })),
        );
      }),
      { numRuns: 60 },
    );
  },
);

test('no cell of a CSV begins like a formula, and no file changes what a spreadsheet would run', { timeout: 60_000 }, () => {
  fc.assert(
    fc.property(record, (one) => {
      const line = lineOf('csv', one);
      const cells = line.slice(0, -2).match(/("(?:[^"]|"")*"|[^,]*)(,|$)/gs) ?? [];
      for (const cell of cells) expect(cell).not.toMatch(/^"?[=+\-@\t\r]/);
    }),
    { numRuns: 50 },
  );
});

test('any text at all is answered with records and problems, never with a crash', { timeout: 60_000 }, () => {
  const piece = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 40 }),
    fc.constantFrom(
      'COPY curio.sectors_meta (sp_id, sector_num) FROM stdin;\n',
      'INSERT INTO sectors_meta VALUES (',
      "'",
      '\\.',
      '\n',
      '\t',
      '"',
    ),
    fc.constantFrom(
      '/sectors/1\n\t',
      'a2',
      '8100',
      'SectorID:\t1\n',
      'Sector s-t01000-1: \n',
      '{"ID":',
      '}',
      '[',
      ',',
      'sector,comm_r\n',
      '{"jsonrpc":1,"result":',
    ),
    fc.json({ maxDepth: 3 }),
  );
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 20 }),
      fc.constantFrom<Source>('lotus', 'damocles', 'curio', 'csv', 'sealpool'),
      (parts, source) => {
        const file = parts.join('');
        detectSource(file);
        expect(parseSource(source, file, { prefix: 't' }).records).toEqual([]);
      },
    ),
    { numRuns: 500 },
  );
});

test('every format of export is read by some source', () => expect(Object.keys(READ_AS).toSorted()).toEqual([...FORMATS].toSorted()));
