/**
 * `t_aux`, which says how a sector's trees are stored: damocles' PC1 leaves it to PC2, our PC1 gives it. It is the
 * library's `TemporaryAux` in bincode; the folder in it is the word `cache`, so that it is the same on every machine.
 */
import { type SealProof, sealProofInfo } from '../../schema/seal-proof.ts';

const FOLDER = 'cache';
const NODE_BYTES = 32;
const ARITY = 8;
/** Rows of tree-r-last that the library leaves out and makes again when it needs them, where there are so many. */
const ROWS_TO_DISCARD = 2;

/** A list of labels, then tree-d, tree-r-last and tree-c. */
export function tAuxBytes(sealProof: SealProof): Buffer {
  const { sectorSizeBytes, layers, treeFiles } = sealProofInfo(sealProof);
  const nodes = sectorSizeBytes / NODE_BYTES;
  const leafs = nodes / treeFiles;
  const treeNodes = nodesOf(leafs, ARITY);
  return Buffer.concat([
    u64(layers),
    ...Array.from({ length: layers }, (_, at) => store(`layer-${at + 1}`, nodes, 0)),
    store('tree-d', nodesOf(nodes, 2), 0),
    store('tree-r-last', treeNodes, rowsToDiscard(leafs)),
    store('tree-c', treeNodes, 0),
  ]);
}

/** Nodes of a full tree. */
export function nodesOf(leafs: number, arity: number): number {
  let [row, sum] = [leafs, leafs];
  while (row > 1) {
    row /= arity;
    sum += row;
  }
  return sum;
}

/** The library keeps at least the leafs and the root of a tree. */
function rowsToDiscard(leafs: number): number {
  const rows = Math.round(Math.log2(leafs) / Math.log2(ARITY)) + 1;
  return Math.min(ROWS_TO_DISCARD, Math.max(0, rows - 2));
}

function store(id: string, size: number, discarded: number): Buffer {
  return Buffer.concat([text(FOLDER), text(id), Buffer.of(1), u64(size), u64(discarded)]);
}

function text(value: string): Buffer {
  return Buffer.concat([u64(value.length), Buffer.from(value)]);
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}
