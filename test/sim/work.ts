/** What a runner's work takes and gives. */
import type { Work } from '../../src/schema/stage.ts';

export type Made = {
  readonly outcome: 'done';
  /** Contents by output name. */
  readonly outputs: ReadonlyMap<string, string>;
  readonly result: Record<string, unknown>;
};
export type Failed = { readonly outcome: 'failed'; readonly code: string; readonly message: string; readonly input?: string };

/** Files of miner storage: path → content. */
export type MinerStorage = Map<string, string>;

export type Files = ReadonlyMap<string, string>;
export type Done = (outputs: Map<string, string>, result: Record<string, unknown>) => Made;
export type All = (content: (name: string) => string) => Map<string, string>;
export type Prover = Extract<Work, { kind: 'prover' }>;
export type Params = Readonly<
  Record<'ticket' | 'commD' | 'commR' | 'commROld' | 'commRNew' | 'commDNew' | 'seed' | 'proof' | 'offsetBytes' | 'sizeBytes', string>
> & { readonly pieces: unknown };

export const failed = (code: string, message: string, input?: string): Failed => ({
  outcome: 'failed',
  code,
  message,
  ...(input === undefined ? {} : { input }),
});
