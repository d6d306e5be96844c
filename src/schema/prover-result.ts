/** What sealpool-prover answers in `result`, per stage (`runner-image/PROTOCOL.md`). */
import { z } from 'zod';
import { PlacedPiece } from './sector-record.ts';
import { PersistResult } from './stage.ts';
import { Commitment } from './units.ts';

export const AddPieceResult = z.object({ pieces: z.array(PlacedPiece), commD: Commitment });
export const TreeDResult = z.object({ commD: Commitment });
export const Pc2Result = z.object({ commR: Commitment, commD: Commitment });
/** Groth16 proof, base64; 192 bytes to 3,072. */
export const ProofResult = z.object({ proof: z.string().regex(/^[A-Za-z0-9+/]{256,4096}={0,2}$/) });
export const UpdateResult = z.object({ commR: Commitment, commD: Commitment });
export const CheckSealedResult = z.object({ commR: Commitment, treeRLastMatches: z.literal(true) });
export const ValidResult = z.object({ valid: z.literal(true) });
export const StoredResult = PersistResult;

/** The parsed result, or a sentence on what is wrong with it. */
export function parseResult<T>(schema: z.ZodType<T>, result: unknown): { ok: true; value: T } | { ok: false; reason: string } {
  const parsed = schema.safeParse(result);
  if (parsed.success) return { ok: true, value: parsed.data };
  const [issue] = parsed.error.issues;
  return { ok: false, reason: `its result does not parse at ${issue?.path.join('.') || 'the top'}: ${issue?.message ?? 'unknown'}` };
}
