/** What the demo does: one sector sealed, or one sector's whole life. */
import { createHash } from 'node:crypto';
import { createReadStream, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { SectorDetail } from '../../src/api/client.ts';
import { MinerId, type PieceId } from '../../src/schema/ids.ts';
import { type Demo, run, showChain } from './job.ts';
import { printLine } from './progress-line.ts';

const MINER = MinerId.parse('t01000');

export type InputFile = { readonly path: string; readonly size: number };

/** Uploads the file for a request that names it; a refusal says the largest size that fits. */
async function upload({ client }: Demo, { path, size }: InputFile): Promise<PieceId> {
  // Node's web streams and the client's type are the same at run time; their declarations differ.
  const body = Readable.toWeb(createReadStream(path)) as unknown as ReadableStream<Uint8Array>;
  const piece = await client.addPiece(MINER, body, size, true);
  printLine(`${path}: ${piece.sizeBytes} bytes, uploaded as piece ${piece.id}`);
  return piece.id;
}

type Stored = { readonly root: string; readonly files: readonly { readonly path: string; readonly hash: string }[] };

function storedOf({ job }: SectorDetail): Stored {
  const { stored } = job.data;
  if (stored === undefined || stored.files === null) throw new Error(`job ${job.id} is finished without stored files`);
  return { root: stored.root, files: stored.files };
}

function showFiles(detail: SectorDetail): void {
  const { root, files } = storedOf(detail);
  printLine(`Final files, in ${root}:`);
  for (const { path } of files) printLine(`  ${path} (${statSync(join(root, path)).size} bytes)`);
}

/** Seals one sector, with the file's data if there is one. */
export async function sealOne(demo: Demo, file: InputFile | undefined): Promise<SectorDetail> {
  const pieces = file === undefined ? {} : { pieces: [await upload(demo, file)] };
  const sealed = await run(demo, { plan: 'sealer', miner: MINER, count: 1, ...pieces });
  printLine(`\nSector ${sealed.job.sector} is Finished. On the chain:`);
  await showChain(demo, sealed);
  showFiles(sealed);
  return sealed;
}

/** Sealed with zeros, snapped with the file, its files deleted and rebuilt, and the file read out of it again. */
export async function wholeLife(demo: Demo, file: InputFile): Promise<void> {
  const sealed = await sealOne(demo, undefined);
  const sector = sealed.job.number as number;
  const request = { miner: MINER, count: 1, sector };

  printLine(`\n== ${sealed.job.sector} gets data (it is proven once its first Window PoSt is behind it)`);
  const snapped = await run(demo, { ...request, plan: 'snapup', pieces: [await upload(demo, file)] });
  await showChain(demo, snapped);
  showFiles(snapped);

  printLine(`\n== all files of ${sealed.job.sector} are deleted, then rebuilt`);
  const before = hashesOf(sealed, snapped);
  const name = sealed.job.sector as string;
  const { root } = storedOf(sealed);
  for (const folder of readdirSync(root)) rmSync(join(root, folder, name), { recursive: true, force: true });
  const rebuilt = await run(demo, { ...request, plan: 'rebuild', pieces: [await upload(demo, file)] });
  compare(before, rebuilt);

  printLine(`\n== the file is read out of ${sealed.job.sector}`);
  const range = { offsetBytes: '0', sizeBytes: String(file.size) };
  const unsealed = await run(demo, { ...request, plan: 'unseal', range });
  const { url } = await demo.client.pieceData(unsealed.job.id);
  const bytes = Buffer.from(await (await fetch(url)).arrayBuffer());
  if (!bytes.equals(readFileSync(file.path))) throw new Error(`what came out of sector ${sector} differs from ${file.path}`);
  printLine(`The ${bytes.length} bytes that came out equal ${file.path}.`);
}

/** The files that a rebuild has to make again, by path; `sector.json` tells of messages too and may differ. */
function hashesOf(...details: readonly SectorDetail[]): Map<string, string> {
  const all = details.flatMap((detail) => storedOf(detail).files.map(({ path, hash }) => [path, hash] as const));
  return new Map(all.filter(([path]) => !path.endsWith('/sector.json')));
}

function compare(before: ReadonlyMap<string, string>, rebuilt: SectorDetail): void {
  const { root, files } = storedOf(rebuilt);
  for (const [path, hash] of before) {
    const again = files.find((file) => file.path === path);
    const onDisk = `sha256:${createHash('sha256')
      .update(readFileSync(join(root, path)))
      .digest('hex')}`;
    if (again?.hash !== hash || onDisk !== hash) throw new Error(`${path} is not what it was before it was deleted`);
    printLine(`  ${path}: the same bytes as before`);
  }
}
