/** Requests for sectors that exist, by number and by name, with what they take; whose sector it is is checked first. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { sectorRecord } from '../store/rows.ts';
import { ApiWorld, OURS, THEIRS } from './api-world.ts';

let world: ApiWorld;
beforeEach(async () => {
  world = await ApiWorld.open();
  await world.door.run((ctx) => {
    for (const miner of [OURS, THEIRS]) ctx.tx.putSectorRecord({ ...sectorRecord(7, { miner }), pieces: [], update: null, commD: null });
  });
});
afterEach(() => world.close());

const pledge = (body: unknown, token = world.admin) => world.call('POST', '/v1/sectors', { token, body });
const piece = async (): Promise<string> =>
  ((await world.call('POST', `/v1/pieces?miner=${OURS}`, { token: world.admin, raw: 'bytes of a piece' })).json as { id: string }).id;

test.each([
  ['its number', { miner: OURS, sector: 7 }],
  ['its name', { sector: 's-t01000-7' }],
  ['its name with f', { sector: 's-f01000-7' }],
  ['its name and its miner', { miner: 'f01000', sector: 's-t01000-7' }],
])('an unseal of a sector named by %s, of a range', async (_by, sector) => {
  const { status, json } = await pledge({ plan: 'unseal', ...sector, range: { offsetBytes: '127', sizeBytes: '254' } });
  expect({ status, json }).toMatchObject({
    status: 200,
    json: { items: [{ plan: 'unseal', miner: OURS, sector: 's-t01000-7', data: { asked: { number: 7, range: { offsetBytes: '127' } } } }] },
  });
});

test('a snap takes its piece and the wish to skip the landing check; a second job on the sector is refused', async () => {
  const id = await piece();
  const snap = { plan: 'snapup', sector: 's-t01000-7', pieces: [id], skipOnchainCheck: true };
  const { json } = await pledge(snap);
  expect(json).toMatchObject({ items: [{ plan: 'snapup', data: { pieces: [{ id }], asked: { number: 7, skipOnchainCheck: true } } }] });
  expect(await pledge({ plan: 'unseal', sector: 's-t01000-7' })).toMatchObject({
    status: 409,
    json: { code: 'sector_busy', detail: expect.stringMatching(/wait for it or abort it/) },
  });
});

test.each([
  ['no miner and no sector', { plan: 'sealer' }, 400, 'miner_missing'],
  ['a number without its miner', { plan: 'unseal', sector: 7 }, 400, 'miner_missing'],
  ['a sector of another miner', { plan: 'unseal', miner: THEIRS, sector: 's-t01000-7' }, 400, 'miner_differs'],
  ['a sector for the sealer', { plan: 'sealer', sector: 's-t01000-7' }, 400, 'sector_unwanted'],
  ['a rebuild of no sector', { plan: 'rebuild', miner: OURS }, 400, 'sector_missing'],
  ['a range for a rebuild', { plan: 'rebuild', sector: 's-t01000-7', range: { offsetBytes: '0', sizeBytes: '1' } }, 400, 'range_unwanted'],
  ['a range outside', { plan: 'unseal', sector: 's-t01000-7', range: { offsetBytes: '2000', sizeBytes: '33' } }, 400, 'bad_range'],
  ['a sector nobody knows', { plan: 'unseal', sector: 's-t01000-8' }, 404, 'sector_unknown'],
  ['a snap of nothing', { plan: 'snapup', sector: 's-t01000-7' }, 409, 'pieces_missing'],
  ['a sector number with a sign', { plan: 'unseal', miner: OURS, sector: -7 }, 400, 'invalid_request'],
])('%s is refused with what to do', async (_what, body, status, code) => {
  expect(await pledge(body)).toMatchObject({ status, json: { code, detail: expect.stringMatching(/[;,] ?\w+/) } });
  expect((await world.call('GET', '/v1/sectors', { token: world.admin })).json).toMatchObject({ items: [] });
});

test('a foreign sector is as good as not there, by number and by name', async () => {
  const token = await world.token('operator', [OURS]);
  for (const body of [
    { plan: 'unseal', sector: 's-t01001-7' },
    { plan: 'unseal', miner: THEIRS, sector: 7 },
    { plan: 'unseal', sector: 's-t01001-8' },
  ]) {
    expect(await pledge(body, token)).toMatchObject({
      status: 404,
      json: { detail: expect.stringMatching(/^there is no miner t01001 here/) },
    });
  }
});

test('a listing takes either spelling of the miner', async () => {
  await world.pledge(OURS);
  for (const miner of ['t01000', 'f01000'])
    expect((await world.call('GET', `/v1/sectors?miner=${miner}`, { token: world.admin })).json).toMatchObject({
      items: [{ miner: OURS }],
    });
});
