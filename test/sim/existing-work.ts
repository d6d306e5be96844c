/** What a runner does for sectors that exist: publish, encode, check, unseal. */
import type { Work } from '../../src/schema/stage.ts';
import {
  commROf,
  fileOf,
  hashOf,
  hexOfCid,
  pieceOfRange,
  replicaId,
  replicaOf,
  unsealedOf,
  updateId,
  updateProofOf,
  updateVanillaOf,
} from './replica.ts';
import type { MinerDisks } from './miner-disks.ts';
import { type All, type Done, type Failed, type Files, type Made, type Params, type Prover, failed } from './work.ts';

/** Reads stored files of a sector that exists. */
export function publish(work: Extract<Work, { kind: 'publish' }>, disks: MinerDisks | undefined): Made | Failed {
  const outputs = new Map<string, string>();
  for (const { artifact, path, hash } of work.files) {
    const content = disks?.find(work.storage)?.read(path);
    if (content === undefined || (hash !== null && hashOf(content) !== hash))
      return failed('input_invalid', `stored file ${path} is not as it was stored`);
    outputs.set(artifact, content);
  }
  return { outcome: 'done', outputs, result: {} };
}

/** Stages of sectors that exist. */
export function proveExisting(work: Prover, files: Files, done: Done, all: All): Made | Failed {
  const params = work.params as unknown as Params;
  /** Whether every file but the data is of the replica with this CommR. */
  const soundOf = (commR: string): boolean =>
    [...files].every(
      ([name, content]) =>
        name === 'unsealed' ||
        name === 'update' ||
        (content === fileOf(name, replicaOf(content) ?? '') && commROf(replicaOf(content) ?? '').cid === commR),
    );
  switch (work.stage) {
    case 'snap-encode': {
      if (!soundOf(params.commR) || files.get('unsealed') !== unsealedOf(params.commD))
        return failed('input_invalid', 'the sector or the data does not hold');
      const update = updateId(params.commR, params.commD);
      const commR = commROf(update);
      return done(
        all((name) =>
          name === 'update-vanilla-proofs.json' ? updateVanillaOf(params.commR, commR.cid, params.commD) : fileOf(name, update),
        ),
        { commR, commD: { cid: params.commD, hex: hexOfCid(params.commD) } },
      );
    }
    case 'snap-prove': {
      const [content] = files.values();
      if (content !== updateVanillaOf(params.commROld, params.commRNew, params.commDNew))
        return failed('input_invalid', 'the vanilla proofs do not hold');
      return done(new Map(), { proof: updateProofOf(params.commROld, params.commRNew, params.commDNew) });
    }
    case 'verify-update':
      return params.proof === updateProofOf(params.commROld, params.commRNew, params.commDNew)
        ? done(new Map(), { valid: true })
        : failed('proof_invalid', 'the proof does not verify');
    case 'check-sealed': {
      const replica = replicaOf(files.get('sealed') ?? '');
      if (replica === undefined || !soundOf(commROf(replica).cid)) return failed('input_invalid', 'tree-r-last is not of the sealed file');
      return done(new Map(), { commR: commROf(replica), treeRLastMatches: true });
    }
    case 'unseal-piece': {
      const sealed = replicaOf(files.get('sealed') ?? '');
      const holds =
        params.commROld === undefined
          ? sealed === replicaId(work.sector, params.ticket, params.commD)
          : commROf(sealed ?? '').cid === params.commROld &&
            replicaOf(files.get('update') ?? '') === updateId(params.commROld, params.commD);
      if (!holds) return failed('input_invalid', 'the files do not hold the data of this CommD');
      return done(
        all(() => pieceOfRange(params.commD, params.offsetBytes, params.sizeBytes)),
        {},
      );
    }
    default:
      return failed('bad_request', `this runner does not know ${work.stage}`);
  }
}
