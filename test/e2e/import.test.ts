/** The database is lost: sectors come back from what other systems would have exported, and are rebuilt from it. */
import { rmSync, writeFileSync, readFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { headOf, lineOf } from '../../src/import/write.ts';
import { sealProofInfo } from '../../src/schema/seal-proof.ts';
import type { SectorRecord } from '../../src/schema/sector-record.ts';
import { Deployment, ENTRY, cleanEnvironment } from './processes.ts';

let deployment: Deployment;
afterEach(() => deployment.end());

/** A dump as Curio's database would give it. */
function curioDump(record: SectorRecord): string {
  const { miner, number, sealProof, ticket, commR, commD, preCommit, proveCommit } = record;
  const cells = [miner.slice(2), number, sealProofInfo(sealProof).number, ticket?.epoch, `\\\\x${ticket?.value}`, commR.cid, commD?.cid];
  const columns = 'sp_id, sector_num, reg_seal_proof, ticket_epoch, ticket_value, orig_sealed_cid, orig_unsealed_cid';
  const later = 'cur_sealed_cid, cur_unsealed_cid, msg_cid_precommit, msg_cid_commit, msg_cid_update';
  const row = [...cells, commR.cid, commD?.cid, preCommit, proveCommit, '\\N'].join('\t');
  const pieces = 'sp_id, sector_num, piece_num, piece_cid, piece_size';
  return `COPY curio.sectors_meta (${columns}, ${later}) FROM stdin;\n${row}\n\\.\nCOPY curio.sectors_meta_pieces (${pieces}) FROM stdin;\n\\.\n`;
}

const FORMS: readonly [string, (record: SectorRecord) => string][] = [
  ['damocles', (record) => lineOf('damocles', record)],
  ['lotus', (record) => lineOf('lotus', record)],
  ['curio', curioDump],
  ['csv', (record) => headOf('csv') + lineOf('csv', { ...record, files: null })],
];

/** Ends the control plane, throws its data and the storage away, and starts it as on its first day. */
async function loseEverything(): Promise<void> {
  for (const runner of deployment.runners.values()) await runner.end('SIGTERM');
  deployment.runners.clear();
  await deployment.controlPlane.end('SIGTERM');
  for (const lost of ['data', 'storage']) rmSync(join(deployment.folder, lost), { recursive: true });
  const { url, tokenFile } = await deployment.controlPlane.start();
  deployment.url = url;
  deployment.token = readFileSync(tokenFile, 'utf8').trim();
}

test('from each source a sector is imported and rebuilt, byte for byte what it was', { timeout: 400_000 }, async () => {
  deployment = await Deployment.start();
  const data = Buffer.alloc(1016, 'client data of the first sector ');
  await deployment.client.addPiece('t01000', data);
  await deployment.addRunner('one');
  const before = new Map<number, unknown>();
  for (const _form of FORMS) {
    const [id] = (await deployment.pledge()) as [string];
    const { job } = await deployment.finished(id, 120_000);
    before.set(job.number as number, job.data.stored?.files);
  }
  const { items: records } = await deployment.client.exportSectors();
  expect(records.map(({ pieces }) => pieces.length > 0)).toEqual([true, false, false, false]);

  await loseEverything();
  expect((await deployment.client.exportSectors()).items).toEqual([]);
  for (const [at, [source, write]] of FORMS.entries()) {
    const file = join(deployment.folder, `sectors.${source}`);
    writeFileSync(file, write(records[at] as SectorRecord));
    const { stdout, stderr } = spawnSync(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', ENTRY, 'import', file, '--json', '--data', join(deployment.folder, 'data')],
      {
        env: cleanEnvironment(),
        encoding: 'utf8',
      },
    );
    expect(JSON.parse(stdout), stderr).toMatchObject({ source, imported: 1, refused: [], problems: [] });
  }

  await deployment.addRunner('two');
  const piece = await deployment.client.addPiece('t01000', data);
  for (const [at, record] of records.entries()) {
    const asked = { plan: 'rebuild', miner: record.miner, sector: record.number };
    const { items } = await deployment.client.pledge(at === 0 ? { ...asked, pieces: [piece.id] } : asked);
    const { job } = await deployment.finished(items[0]?.id as string, 120_000);
    const files = (of: unknown) =>
      (of as { path: string }[]).filter(({ path }) => !path.endsWith('sector.json')).toSorted((a, b) => (a.path < b.path ? -1 : 1));
    expect(files(job.data.stored?.files)).toEqual(files(before.get(record.number)));
  }
  // What the rebuilds made known again is what was known before, but for who told it.
  const after = (await deployment.client.exportSectors()).items;
  const plain = ({ source: _source, files, ...rest }: SectorRecord) => ({ ...rest, storage: files?.storage });
  expect(after.map(plain)).toEqual(records.map(plain));
});
