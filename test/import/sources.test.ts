/** Files as each source writes them: what is taken, and what is said about the rest. */
import { describe, expect, test } from 'vitest';
import { commitmentCid } from '../../src/chain/cids.ts';
import { detectSource, parseSource } from '../../src/import/detect.ts';
import { zeroPiece } from '../../src/import/pieces.ts';
import type { Source } from '../../src/import/records.ts';
import { commitmentOfCid, commitmentOfHex } from '../../src/schema/commitment-cid.ts';
import { NAMED, OPTIONS, RECORDS, fixture } from './sectors.ts';

const from = (source: Source, numbers: readonly number[]) =>
  RECORDS.filter(({ number }) => numbers.includes(number)).map((record) => ({ ...record, source }));

test.each([
  ['lotus-sectors.json', 'lotus', [7, 8, 9]],
  ['lotus-datastore.txt', 'lotus', [7, 8, 9]],
  ['damocles-state.jsonl', 'damocles', [7, 8, 9]],
  ['curio-copy.sql', 'curio', [7, 8, 9]],
  ['curio-inserts.sql', 'curio', [7, 8, 9]],
  ['sectors.csv', 'csv', [7, 8, 9]],
  ['sectors.jsonl', 'sealpool', [7, 8, 9]],
] as const)('%s is of %s and every sector of it is taken', (name, source, numbers) => {
  const text = fixture(name);
  expect(detectSource(text)).toBe(source);
  expect(parseSource(source, text, NAMED)).toEqual({ records: from(source, numbers), problems: [] });
});

test('an older manager lists pieces as deals', () => {
  const { update: _update, ...eight } = from('damocles', [8])[0] as (typeof RECORDS)[number];
  expect(parseSource('damocles', fixture('damocles-deals.json'), OPTIONS)).toEqual({ records: [{ ...eight, update: null }], problems: [] });
});

test("SectorsStatus leaves the update's commitments out: the upgraded sector is refused with where to get it", () => {
  const { records, problems } = parseSource('lotus', fixture('lotus-rpc.jsonl'), NAMED);
  expect(records).toEqual(from('lotus', [7, 8]));
  expect(problems).toEqual([{ where: 'line 3 (sector "9")', sentence: expect.stringMatching(/snap deal.*lotus-shed/) }]);
});

test('the text of lotus-miner: committed capacity is taken, with a real sector of mainnet; data and unfinished sectors are not', () => {
  const text = fixture('lotus-status.txt');
  expect(detectSource(text)).toBe('lotus');
  const { records, problems } = parseSource('lotus', text, OPTIONS);
  expect(records[0]).toEqual(from('lotus', [7])[0]);
  expect(records[1]).toMatchObject({
    miner: 't01000',
    number: 2014,
    sealProof: 'StackedDrg32GiBV1_1',
    ticket: { epoch: 499357, value: '4ef0c863b3ca34f03f3f5dd8b0a6f410741cc0f990222964275209fd3298845b' },
    pieces: [],
    commD: { cid: 'baga6ea4seaqao7s73y24kcutaosvacpdjgfe5pw76ooefnyqw4ynr3d2y6x2mpq' },
    commR: { cid: 'bagboea4b5abca44sn4yylv2tc52utlabb5fawtcksjct6i4whu567icznyhxvzqw' },
  });
  expect(records).toHaveLength(2);
  expect(problems.map(({ where, sentence }) => `${where}: ${sentence}`)).toEqual([
    expect.stringMatching(/^line 55 \(sector "8"\): it holds data, and this text lists no pieces; export the datastore/),
    expect.stringMatching(/^line 80 .*still works on it; let it finish there/),
    expect.stringMatching(/^line 105 .*seal proof is not told; name it with --seal-proof/),
  ]);
});

test('the text of damocles: with the seal proof named, everything but upgraded and unfinished sectors', () => {
  const text = fixture('damocles-state.txt');
  expect(detectSource(text)).toBe('damocles');
  const { records, problems } = parseSource('damocles', text, NAMED);
  expect(records).toEqual(from('damocles', [7, 8]));
  expect(problems.map(({ sentence }) => sentence)).toEqual([
    expect.stringMatching(/export-json/),
    expect.stringMatching(/Finalized: false/),
  ]);
  expect(parseSource('damocles', text, OPTIONS).records).toEqual([]);
});

test('sector.json files one after another are records, but for what is not in them', () => {
  const [cc, data, upgraded] = RECORDS.map(({ preCommit, files: _f, proveCommit: _p, replicaUpdate: _r, source: _s, ...rest }) => ({
    version: 1,
    ...rest,
    preCommit: { cid: preCommit, epoch: 12 },
  }));
  const { update: _update, ...asFirstVersion } = data as NonNullable<typeof data>;
  const text = JSON.stringify(cc) + JSON.stringify(asFirstVersion, null, 2) + JSON.stringify(upgraded);
  expect(detectSource(text)).toBe('sealpool');
  const left = { proveCommit: null, replicaUpdate: null };
  expect(parseSource('sealpool', text, OPTIONS)).toEqual({ records: RECORDS.map((record) => ({ ...record, ...left })), problems: [] });
});

test('--storage says where the files are, unless the row does', () => {
  const storage = { storage: 'store-1', root: '/mnt/store-1' };
  const csv = `sector,comm_r,storage,root\n7,${RECORDS[0]?.commR.cid},mine,/mine\n8,${RECORDS[1]?.commR.hex},,\n`;
  const { records } = parseSource('csv', csv, { ...NAMED, storage });
  expect(records.map(({ files }) => files)).toEqual([
    { storage: 'mine', root: '/mine', files: null },
    { ...storage, files: null },
  ]);
});

test('a miner is written with the prefix of the import, and another one is refused', () => {
  const dump = fixture('curio-copy.sql');
  expect(parseSource('curio', dump, { prefix: 'f' }).records.map(({ miner }) => miner)).toEqual(['f01000', 'f01000', 'f01000']);
  const other = parseSource('curio', dump, { ...OPTIONS, miner: 't01001' as (typeof RECORDS)[number]['miner'] });
  expect(other.records).toEqual([]);
  expect(other.problems[0]?.sentence).toMatch(/of miner t01000 and --miner names t01001; leave --miner out/);
  expect(parseSource('lotus', fixture('lotus-sectors.json'), OPTIONS).problems[0]?.sentence).toMatch(/name it with --miner/);
});

describe('commitments', () => {
  test('CIDs are those of the chain code', () => {
    for (const { commR, commD } of RECORDS) {
      expect(commitmentOfHex('sealed', commR.hex).cid).toBe(commitmentCid('sealed', commR.hex).toString());
      expect(commitmentOfHex('unsealed', commD?.hex ?? '').cid).toBe(commitmentCid('unsealed', commD?.hex ?? '').toString());
      expect(commitmentOfCid('sealed', commR.cid)).toEqual(commR);
      expect(commitmentOfCid('unsealed', commR.cid)).toBeUndefined();
    }
  });

  test('a CID with a bit set behind its last byte is not the same CID', () => {
    const cid = RECORDS[0]?.commD?.cid as string;
    expect(commitmentOfCid('unsealed', `${cid.slice(0, -1)}z`)).toBeUndefined();
  });

  test.each([
    [2 ** 11, 'baga6ea4seaqpy7usqklokfx2vxuynmupslkeutzexe2uqurdg5vhtebhxqmpqmy'],
    [2 ** 23, 'baga6ea4seaqgl4u6lwmnerwdrm4iz7ag3mpwwaqtapc2fciabpooqmvjypweeha'],
    [2 ** 29, 'baga6ea4seaqdsvqopmj2soyhujb72jza76t4wpq5fzifvm3ctz47iyytkewnubq'],
    [2 ** 35, 'baga6ea4seaqao7s73y24kcutaosvacpdjgfe5pw76ooefnyqw4ynr3d2y6x2mpq'],
    [2 ** 36, 'baga6ea4seaqomqafu276g53zko4k23xzh4h4uecjwicbmvhsuqi7o4bhthhm4aq'],
  ])('committed capacity of %i bytes has the CommD that everybody knows', (sizeBytes, cid) => {
    expect(zeroPiece(sizeBytes).cid).toBe(cid);
  });
});
