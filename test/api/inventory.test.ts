/** Sectors taken over and written down through the real API and database. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { SectorRecord } from '../../src/schema/sector-record.ts';
import { ApiWorld, OURS, THEIRS } from './api-world.ts';
import { RECORDS } from '../import/sectors.ts';

const [CC, DATA, UPGRADED] = RECORDS as [SectorRecord, SectorRecord, SectorRecord];
const F = (record: SectorRecord): SectorRecord => ({ ...record, miner: `f${record.miner.slice(1)}` as SectorRecord['miner'] });

let world: ApiWorld;
beforeEach(async () => {
  world = await ApiWorld.open();
});
afterEach(() => world.close());

async function taken(records: readonly unknown[], token = world.admin) {
  const { status, json } = await world.call('POST', '/v1/sectors/import', { token, body: { records } });
  expect(status).toBe(200);
  return json as { imported: number; unchanged: number; refused: { sector: string; reason: string }[] };
}
async function page(query = '', token = world.admin) {
  const { json } = await world.call('GET', `/v1/sectors/export${query}`, { token });
  return json as { items: SectorRecord[]; cursor: string | null };
}
const known = (number: number) => world.door.run((ctx) => ctx.tx.sectorRecord(OURS, number));
/** As a job that has finished leaves it. */
const sealedHere = (record: SectorRecord) => world.door.run((ctx) => ctx.tx.putSectorRecord({ ...record, source: 'sealed' }));

test('records come in, are known the second time, and go out as they came, page by page', async () => {
  expect(await taken(RECORDS)).toEqual({ imported: 3, unchanged: 0, refused: [] });
  expect(await taken(RECORDS.map(F))).toEqual({ imported: 0, unchanged: 3, refused: [] });
  const first = await page('?limit=2');
  expect(first.items).toEqual([CC, DATA]);
  expect(await page(`?limit=2&cursor=${first.cursor}`)).toEqual({ items: [UPGRADED], cursor: null });
  expect((await page('?miner=f01000')).items).toHaveLength(3);
});

test('a sector that the chain kept from snaps is looked for again once it is imported again', async () => {
  const stored = { ...CC, files: { storage: 'store', root: '/storage', files: null } };
  const candidates = () => world.door.run((ctx) => ctx.tx.snapCandidates(OURS, 0, 9).map(({ number }) => number));
  await world.door.run((ctx) => ctx.tx.putSectorRecord({ ...stored, unfit: 'the chain has no such sector' }));
  expect(await candidates()).toEqual([]);
  expect(await taken([stored])).toMatchObject({ imported: 1 });
  expect(await candidates()).toEqual([CC.number]);
});

test('the numbers of imported sectors are taken', async () => {
  await taken([{ ...CC, number: 41 }]);
  expect(await world.door.run((ctx) => ctx.tx.nextSectorNumber(OURS, 1, 1_000))).toBe(42);
});

test('a miner that is not configured, and one of somebody else, are refused alike; the others are taken', async () => {
  const token = await world.token('operator', [OURS]);
  const theirs = { ...CC, miner: THEIRS };
  const unknown = { ...CC, miner: 't09999' };
  const { imported, refused } = await taken([theirs, CC, unknown], token);
  expect(imported).toBe(1);
  expect(refused.map(({ sector }) => sector)).toEqual(['s-t01001-7', 's-t09999-7']);
  const [reason, other] = refused.map(({ reason: text }) => text.replaceAll(/t0\d+/g, 'M'));
  expect(reason).toMatch(
    /miner M is not configured here; add a \[\[miners\]\] with id = "M" and its seal_proof to the configuration and start again/,
  );
  expect(other).toBe(reason);
  expect(await taken([theirs])).toMatchObject({ imported: 1 });
  expect((await page('', token)).items).toEqual([CC]);
  expect((await world.call('GET', `/v1/sectors/export?miner=${THEIRS}`, { token })).status).toBe(404);
});

test('a sector with a live job is refused until the job has ended', async () => {
  const [id] = (await world.pledge(OURS)) as [string];
  await world.door.run((ctx) => {
    const job = ctx.tx.jobs({}, 1, null).items[0];
    if (job !== undefined) ctx.tx.updateJob({ ...job, number: 7, state: 'PC1Done' });
  });
  const { imported, refused } = await taken([CC, DATA]);
  expect(imported).toBe(1);
  expect(refused).toEqual([
    { sector: 's-t01000-7', reason: expect.stringMatching(/^job j-\w+ \(sealer, in PC1Done\) works on this sector/) },
  ]);
  expect((await world.call('POST', `/v1/sectors/${id}/abort`, { token: world.admin, body: {} })).status).toBe(200);
  expect(await taken([CC])).toMatchObject({ imported: 1 });
});

test.each<[string, Partial<SectorRecord>, RegExp]>([
  ['CommR', { commR: DATA.commR }, /another CommR \(bagbo\w+, and not bagbo\w+\).*compare it with the chain/],
  ['seal proof', { sealProof: 'StackedDrg2KiBV1_1_Feat_SyntheticPoRep' }, /another seal proof \(StackedDrg2KiBV1_1, and not/],
  ['ticket', { ticket: { epoch: 1007, value: 'ab'.repeat(32) } }, /another ticket \(4abf17/],
  ['ticket epoch', { ticket: { epoch: 1008, value: null } }, /another ticket epoch \(1007, and not 1008\)/],
])('a sector sealed here with another %s is refused and stays as it was', async (_what, change, reason) => {
  await sealedHere(CC);
  const { refused } = await taken([{ ...CC, ...change }]);
  expect(refused.map(({ reason: text }) => text)).toEqual([expect.stringMatching(reason)]);
  expect(await known(7)).toEqual({ ...CC, source: 'sealed' });
});

test('an import that was wrong is corrected by a better one, as long as nothing was done with the sector', async () => {
  await taken([{ ...CC, commR: DATA.commR }]);
  expect(await taken([CC])).toMatchObject({ imported: 1, refused: [] });
  expect(await known(7)).toEqual(CC);
});

test('what was not known is filled in, what is known stays, and files that moved are followed', async () => {
  await sealedHere({ ...UPGRADED, ticket: { epoch: 1009, value: null }, update: null, preCommit: null, files: null });
  const files = { storage: 'store-1', root: '/mnt/1', files: null };
  expect(await taken([{ ...UPGRADED, files }])).toMatchObject({ imported: 1 });
  const full = { ...UPGRADED, files, source: 'sealed' };
  expect(await known(9)).toEqual(full);
  expect(await taken([{ ...UPGRADED, ticket: null, update: null, preCommit: null, commD: null }])).toMatchObject({ unchanged: 1 });
  expect(await taken([{ ...UPGRADED, files: { ...files, storage: 'store-2' } }])).toMatchObject({ imported: 1 });
  expect(await known(9)).toEqual({ ...full, files: { ...files, storage: 'store-2' } });
});

test('hashes of stored files are not lost to an import that knows the storage only', async () => {
  const files = { storage: 'store-1', root: '/mnt/1', files: [{ path: 'sealed/x', sizeBytes: '1', hash: `sha256:${'0'.repeat(64)}` }] };
  await sealedHere({ ...CC, files });
  expect(await taken([{ ...CC, files: { ...files, files: null } }])).toMatchObject({ unchanged: 1 });
  expect((await known(7))?.files).toEqual(files);
  expect(await taken([{ ...CC, files: { storage: 'store-1', root: '/mnt/other', files: null } }])).toMatchObject({ imported: 1 });
  expect((await known(7))?.files).toEqual({ ...files, root: '/mnt/other' });
  expect(await taken([{ ...CC, files: { storage: 'store-1', root: '', files: null } }])).toMatchObject({ unchanged: 1 });
});

test.each<[string, (record: any) => void, RegExp]>([
  [
    'hex digits of another commitment',
    (r) => (r.commR.hex = UPGRADED.commR.hex),
    /CID and the hex digits of its CommR are not of one sealed/,
  ],
  ['a CommR as CommD', (r) => (r.commD = r.commR), /of its CommD are not of one unsealed/],
  ['a gap between pieces', (r) => r.pieces.splice(2, 1), /pieces do not cover its 2048 bytes/],
  ['pieces beyond the sector', (r) => r.pieces.push({ ...r.pieces[3], offsetBytes: '2048' }), /pieces do not cover/],
  ['a piece that is no piece', (r) => (r.pieces[0].cid = r.commR.cid), /pieces do not cover/],
])('%s is refused by name, the sector beside it is taken', async (_what, edit, reason) => {
  const record = structuredClone(DATA);
  edit(record);
  const { imported, refused } = await taken([record, CC]);
  expect(imported).toBe(1);
  expect(refused).toEqual([{ sector: 's-t01000-8', reason: expect.stringMatching(reason) }]);
});

test.each<[string, unknown]>([
  ['a record that says it was sealed here', [CC, { ...DATA, source: 'sealed' }]],
  ['a number beyond every number', [CC, { ...DATA, number: 2 ** 60 }]],
  ['more records than a page has', Array.from({ length: 501 }, () => CC)],
  ['no list', { CC }],
])('%s refuses the whole request and takes nothing', async (_what, records) => {
  const { status } = await world.call('POST', '/v1/sectors/import', { token: world.admin, body: { records } });
  expect(status).toBe(400);
  expect((await page()).items).toEqual([]);
});

test('a page of 500 sectors with pieces fits a request', { timeout: 30_000 }, async () => {
  const records = Array.from({ length: 500 }, (_, number) => ({ ...(number % 2 === 0 ? UPGRADED : DATA), number }));
  expect(JSON.stringify(records).length).toBeGreaterThan(256 * 2 ** 10);
  expect(await taken(records)).toEqual({ imported: 500, unchanged: 0, refused: [] });
  expect((await page('?limit=1000')).items.map(({ number }) => number)).toEqual(records.map(({ number }) => number));
});
