/** What a runner makes of a grant: honestly, or with one of the faults a script names. */
import { sumsOf } from '../../src/schema/manifest.ts';
import type { Grant, InputFile } from '../../src/schema/runner.ts';
import type { Work } from '../../src/schema/stage.ts';
import {
  commDOf,
  commROf,
  fileOf,
  hashOf,
  hexOfCid,
  pieceCid,
  proofOf,
  replicaId,
  sizeOf,
  sha,
  treeDOf,
  unsealedOf,
  vanillaOf,
} from './replica.ts';
import { proveExisting, publish } from './existing-work.ts';
import type { MinerDisks } from './miner-disks.ts';
import type { StageFault } from './script.ts';
import { missingInput } from './stage-inputs.ts';
import { sumOf } from './transfers.ts';
import { type All, type Done, type Failed, type Files, type Made, type Params, type Prover, failed } from './work.ts';

/** Fetches and compares inputs as the agent does. */
export function fetchInputs(
  inputs: readonly InputFile[],
  open: (name: string) => { content: string } | undefined,
  cache: ReadonlyMap<string, string> = new Map(),
): Files | Failed {
  const files = new Map<string, string>();
  for (const { name, hash, key, required, manifest } of inputs) {
    const kept = cache.get(key ?? '');
    const found = kept !== undefined && hashOf(kept) === hash ? { content: kept } : open(name);
    if (required === false && (found === undefined || hashOf(found.content) !== hash)) continue;
    if (found === undefined) return failed('input_missing', `input ${name} is not in the object store`, name);
    if (hashOf(found.content) !== hash) return failed('input_differs', `input ${name} has another hash`, name);
    // Fetched again, it is the same.
    if (found.content !== kept && manifest !== undefined && sumsOf(manifest, sizeOf(name, found.content))?.[0] !== sumOf(found.content))
      return failed('input_differs', `input ${name} has another checksum than its manifest says`, name);
    files.set(name, found.content);
  }
  return files;
}

/** Does the work; `lie` changes the result as that fault says. */
export function perform(grant: Grant, files: Files, disks: MinerDisks | undefined, lie: StageFault | undefined): Made | Failed {
  const { work } = grant;
  if (work.kind === 'persist') return persist(work, files, disks);
  if (work.kind === 'check-stored') return checkStored(work, disks);
  if (work.kind === 'publish') return publish(work, disks);
  if (work.kind !== 'prover') return failed('bad_request', `this runner does not know ${(work as { kind: string }).kind}`);
  const missing = missingInput(work, files);
  if (missing !== undefined) return failed('bad_request', `${work.stage} needs ${missing}, which the request does not name`);
  const honest = prove(work, grant, files, lie === 'forged');
  return honest.outcome === 'failed' || lie === undefined ? honest : twisted(honest, lie);
}

function prove(work: Prover, grant: Grant, files: Files, forge: boolean): Made | Failed {
  const params = work.params as unknown as Params;
  const { sector } = work;
  const names = grant.outputs.map(({ name }) => name);
  const all = (content: (name: string) => string): Map<string, string> => new Map(names.map((name) => [name, content(name)]));
  const done = (outputs: Map<string, string>, result: Record<string, unknown>): Made => ({ outcome: 'done', outputs, result });
  switch (work.stage) {
    case 'add-piece':
      return addPiece(params, files, done, all);
    case 'tree-d': {
      const commD = commDOf(params.pieces as unknown as { cid: string; filler?: boolean }[]);
      return done(
        all(() => treeDOf(commD.cid)),
        { commD },
      );
    }
    case 'pc1': {
      const replica = replicaId(sector, params.ticket, params.commD);
      // Of a layer that another one made only its first label is looked at; what is made after a bad one is bad.
      const bad = [...files].find(([name, content]) => content !== fileOf(name, replica));
      const made = bad === undefined ? replica : sha(`broken ${bad[1]}`).slice(0, 32);
      return done(new Map([...all((name) => fileOf(name, made))].filter(([name]) => !files.has(name))), {});
    }
    case 'pc2': {
      const replica = replicaId(sector, params.ticket, params.commD);
      const tree = [...files].find(([name]) => name.endsWith('tree-d.dat'));
      if (tree?.[1] !== treeDOf(params.commD)) return failed('input_invalid', 'tree-d is not of this CommD', tree?.[0]);
      const sound = [...files].every(([name, content]) => !/layer|t_aux/.test(name) || content === fileOf(name, replica));
      const made = sound ? replica : sha(`broken ${[...files.values()].join(' ')}`).slice(0, 32);
      return done(
        all((name) => fileOf(name, made)),
        { commR: commROf(made), commD: { cid: params.commD, hex: hexOfCid(params.commD) } },
      );
    }
    case 'c1': {
      const replica = replicaId(sector, params.ticket, params.commD);
      const sound =
        commROf(replica).cid === (params.commR as string) &&
        [...files].every(([name, content]) => /tree-d/.test(name) || content === fileOf(name, replica));
      if (!sound && !forge) return failed('input_invalid', 'the replica does not hold');
      return done(
        all(() => (forge ? `vanilla forged ${sha(grant.attempt)}` : vanillaOf(params.commR, params.seed))),
        {},
      );
    }
    case 'verify-vanilla': {
      const [content] = files.values();
      const sound =
        content === vanillaOf(params.commR, params.seed) && params.commR === commROf(replicaId(sector, params.ticket, params.commD)).cid;
      return sound ? done(new Map(), { valid: true }) : failed('proof_invalid', 'the vanilla proofs do not hold');
    }
    case 'c2': {
      const [content] = files.values();
      if (content !== vanillaOf(params.commR, params.seed)) return failed('input_invalid', 'the vanilla proofs do not hold');
      return done(new Map(), { proof: proofOf(params.commR, params.seed) });
    }
    case 'verify-seal':
      return (params.proof as string) === proofOf(params.commR, params.seed)
        ? done(new Map(), { valid: true })
        : failed('proof_invalid', 'the proof does not verify');
    default:
      return proveExisting(work, files, done, all);
  }
}

function addPiece(params: Params, files: Files, done: Done, all: All): Made | Failed {
  let offset = 0;
  const layout: { cid: string; paddedSizeBytes: string; offsetBytes: string; filler?: boolean }[] = [];
  for (const { input, paddedSizeBytes, cid } of params.pieces as unknown as {
    input: string;
    paddedSizeBytes: string;
    cid: string | null;
  }[]) {
    const real = pieceCid(files.get(input) ?? '');
    if (cid !== null && cid !== real) return failed('input_invalid', `piece ${input} has CID ${real}`, input);
    const size = Number(paddedSizeBytes);
    offset = Math.ceil(offset / size) * size;
    layout.push({ cid: real, paddedSizeBytes, offsetBytes: String(offset) });
    offset += size;
  }
  if (layout.length === 0) layout.push({ cid: 'baga6ea4seaqzeros', paddedSizeBytes: '2048', offsetBytes: '0', filler: true });
  const commD = commDOf(layout);
  return done(
    all(() => unsealedOf(commD.cid)),
    { pieces: layout, commD },
  );
}

function persist(work: Extract<Work, { kind: 'persist' }>, files: Files, disks: MinerDisks | undefined): Made | Failed {
  const disk = work.storage === null ? disks?.first : disks?.find(work.storage);
  if (disk === undefined) return failed('internal', 'this runner has no such miner storage');
  if (disk.closed !== undefined) return failed('storage_full', `storage ${disk.id}: ${disk.closed}`);
  const named = work.files.map(({ artifact, path }) => ({ artifact, path, content: files.get(artifact) ?? '' }));
  if (named.reduce((sum, { content }) => sum + content.length, 0) > disk.freeBytes)
    return failed('storage_full', `storage ${disk.id} is full`);
  const stored = named.map(({ artifact, path, content }) => {
    disk.write(path, content);
    return { path, sizeBytes: String(sizeOf(artifact, content)), hash: hashOf(content) };
  });
  const json = JSON.stringify(work.sectorJson.content);
  disk.write(work.sectorJson.path, json);
  const record = { path: work.sectorJson.path, sizeBytes: String(json.length), hash: hashOf(json) };
  return { outcome: 'done', outputs: new Map(), result: { storage: disk.id, root: disk.root, files: [...stored, record] } };
}

function checkStored(work: Extract<Work, { kind: 'check-stored' }>, disks: MinerDisks | undefined): Made | Failed {
  for (const { path, hash } of work.files) {
    const content = disks?.find(work.storage)?.read(path);
    if (content === undefined || hashOf(content) !== hash)
      return failed('input_invalid', `stored file ${path} is not as it was stored`, path.slice(0, 100));
  }
  return { outcome: 'done', outputs: new Map(), result: { valid: true } };
}

function twisted(made: Made, lie: StageFault): Made | Failed {
  const result = { ...made.result };
  const outputs = new Map(made.outputs);
  const [first] = outputs.keys();
  switch (lie) {
    case 'wrong_comm_r':
      if ('commR' in result) result.commR = commROf('another replica');
      break;
    case 'wrong_comm_d':
      if ('commD' in result) result.commD = commDOf([{ cid: 'another' }]);
      break;
    case 'garbage':
      for (const [name, content] of outputs) outputs.set(name, `garbage ${sha(content).slice(0, 8)}`);
      break;
    case 'bad_proof':
      if ('proof' in result) result.proof = proofOf('another', 'proof');
      break;
    case 'missing_output':
      if (first !== undefined) outputs.delete(first);
      break;
    case 'unparsable':
      for (const key of Object.keys(result)) result[key] = 17;
      break;
    default:
  }
  return { ...made, outputs, result };
}
