/** add_pieces and tree_d. */
import { mkdir, open, stat } from 'node:fs/promises';
import { z } from 'zod';
import { TREE_D } from '../../schema/artifact.ts';
import { commitmentOfHex } from '../../schema/commitment-cid.ts';
import { StageFailure } from '../failure.ts';
import { type PlacedPiece, layOut } from './piece-layout.ts';
import { nodesOf } from './t-aux.ts';
import { type StageTask, type TaskRun, hasInput, inputPath, outputOf, outputPath, sectorBytes, zeros } from './task.ts';
import { PieceInfo, commDOf, commitmentHex, commitmentOfBytes, unpadded } from './values.ts';

const Pieces = z.array(z.object({ input: z.string(), paddedSizeBytes: z.string().nullable(), cid: z.string().nullable() })).max(1024);

type Placed = PlacedPiece & { readonly cid: string | null };

async function placed(run: TaskRun): Promise<Placed[]> {
  const pieces = Pieces.parse(run.work.params['pieces']);
  const sized = await Promise.all(
    pieces.map(async ({ input, paddedSizeBytes }) => ({
      input,
      payloadBytes: (await stat(inputPath(run, input))).size,
      paddedBytes: paddedSizeBytes === null ? undefined : Number(paddedSizeBytes),
    })),
  );
  return layOut(sized, sectorBytes(run)).map((piece) => ({
    ...piece,
    cid: pieces.find(({ input }) => input === piece.input)?.cid ?? null,
  }));
}

/** Pieces and fillers one after another, as damocles lays them out before it asks. */
export const ADD_PIECE: StageTask = {
  stage: 'add_pieces',
  suits: () => true,
  prepare: async (run) =>
    JSON.stringify({
      seal_proof_type: run.work.sector.sealProof,
      pieces: (await placed(run)).map(({ input, payloadBytes, paddedBytes }) => ({
        piece_file: input === undefined ? 'pledge' : { local: inputPath(run, input) },
        payload_size: input === undefined ? unpadded(paddedBytes) : payloadBytes,
        piece_size: unpadded(paddedBytes),
      })),
      staged_filepath: outputPath(run, 'unsealed'),
    }),
  finish: async (run, output) => {
    const layout = await placed(run);
    const infos = outputOf(z.array(PieceInfo).length(layout.length), output);
    const pieces = layout.map((piece, at) => {
      const info = infos[at] as z.infer<typeof PieceInfo>;
      const { cid, hex } = commitmentOfBytes('unsealed', info.commitment);
      if (info.size !== unpadded(piece.paddedBytes)) {
        throw new StageFailure(
          'internal',
          `the processor made a piece of ${info.size} bytes where ${unpadded(piece.paddedBytes)} were asked for; correct the processor`,
        );
      }
      if (piece.cid !== null && commitmentHex('unsealed', piece.cid, 'piece') !== hex) {
        throw new StageFailure(
          'input_invalid',
          `piece ${piece.input} has the CID ${cid}, the request says ${piece.cid}; fetch the right piece`,
          piece.input,
        );
      }
      const filler = piece.input === undefined ? { filler: true } : {};
      return { cid, paddedSizeBytes: String(piece.paddedBytes), offsetBytes: String(piece.offsetBytes), ...filler };
    });
    const commD = commDOf(infos.map(({ commitment }, at) => ({ commitment, paddedBytes: (layout[at] as Placed).paddedBytes })));
    return { pieces, commD: commitmentOfHex('unsealed', commD) };
  },
};

export const TREE: StageTask = {
  stage: 'tree_d',
  suits: () => true,
  prepare: async (run) => {
    await mkdir(outputPath(run, 'cache'));
    const staged = hasInput(run, 'unsealed') ? inputPath(run, 'unsealed') : outputPath(run, 'zeros');
    if (!hasInput(run, 'unsealed')) await zeros(staged, sectorBytes(run));
    return JSON.stringify({ registered_proof: run.work.sector.sealProof, staged_file: staged, cache_dir: outputPath(run, 'cache') });
  },
  finish: async (run, output) => {
    outputOf(z.literal(true), output);
    return { commD: commitmentOfHex('unsealed', await rootOfTree(run)) };
  },
};

/** The last node of the tree, when the file has as many as this sector's tree. */
async function rootOfTree(run: TaskRun): Promise<string> {
  const nodeBytes = 32;
  const nodes = nodesOf(sectorBytes(run) / nodeBytes, 2);
  const file = await open(outputPath(run, TREE_D), 'r').catch(() => undefined);
  try {
    if (file !== undefined && (await file.stat()).size === nodes * nodeBytes) {
      const { buffer } = await file.read(Buffer.alloc(nodeBytes), 0, nodeBytes, (nodes - 1) * nodeBytes);
      return buffer.toString('hex');
    }
  } finally {
    await file?.close();
  }
  throw new StageFailure('internal', 'the processor said that tree-d is there, and no file of its size is; correct the processor');
}
