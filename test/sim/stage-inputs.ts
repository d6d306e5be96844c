/** Which inputs a stage needs, as flows.md lists them: a stage that was not given one of them cannot be done. */
import { commDOf } from './replica.ts';
import type { Files, Params, Prover } from './work.ts';

const LAYERS = ['cache/sc-02-data-layer-1.dat', 'cache/sc-02-data-layer-2.dat'];
const TREE_C = 'cache/sc-02-data-tree-c.dat';
const TREE_D = 'cache/sc-02-data-tree-d.dat';
const TREE_R_LAST = 'cache/sc-02-data-tree-r-last.dat';
const SYNTHETIC_PROOFS = 'cache/syn-porep-vanilla-proofs.dat';
const REPLICA = ['sealed', 'cache/p_aux', 'cache/t_aux', TREE_R_LAST];

/** The first that is not there; undefined: all are. Of sectors of 2 KiB, which have two layers and trees of one file. */
export function missingInput(work: Prover, files: Files): string | undefined {
  return needed(work).find((name) => !files.has(name));
}

function needed({ stage, sector, params }: Prover): readonly string[] {
  switch (stage) {
    case 'tree-d': {
      const pieces = (params as unknown as Params).pieces as readonly { filler?: boolean }[];
      return pieces.some(({ filler }) => filler !== true) ? ['unsealed'] : [];
    }
    case 'pc2':
      return [...LAYERS, TREE_D, 'cache/t_aux', ...((params as unknown as Params).commD === commDOf([]).cid ? [] : ['unsealed'])];
    case 'c1':
      return [...REPLICA, ...(sector.sealProof.includes('Synthetic') ? [SYNTHETIC_PROOFS] : [...LAYERS, TREE_C, TREE_D])];
    case 'c2':
    case 'verify-vanilla':
      return ['vanilla-proofs.json'];
    case 'snap-encode':
      return [...REPLICA, 'unsealed'];
    case 'snap-prove':
      return ['update-vanilla-proofs.json'];
    case 'check-sealed':
      return ['sealed', TREE_R_LAST];
    case 'unseal-piece':
      return ['sealed', ...((params as unknown as Params).commROld === undefined ? [] : ['update'])];
    default:
      return [];
  }
}
