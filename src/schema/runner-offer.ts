/** Which files a control plane hands out to those who start runners. */
import { z } from 'zod';
import { Hash } from './units.ts';

const File = z.object({ hash: Hash, sizeBytes: z.number().int().positive() });

export const RunnerOffer = z.object({
  version: z.string().max(40),
  /** Of the machine the prover was built for, as Node names it: `x64`, `arm64`. */
  arch: z.string().max(20),
  agent: File,
  prover: File,
  /** The runner image as a tar, for hosts with a container engine and without Node. */
  image: File.nullable(),
});
export type RunnerOffer = z.infer<typeof RunnerOffer>;
