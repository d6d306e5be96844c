/** What an RPC method of the dev chain is: its parameters, strictly, and what it answers. */
import { z } from 'zod';
import { actorId } from '../../chain/addresses.ts';
import { CidLink } from '../../chain/lotus-answers.ts';
import type { Ledger } from '../ledger.ts';
import type { DevnetOptions, Policy } from '../options.ts';
import type { Producer } from '../producer.ts';

export type RpcContext = {
  readonly ledger: Ledger;
  readonly policy: Policy;
  readonly producer: Producer;
  readonly options: DevnetOptions;
};

export type RpcMethod = { readonly run: (context: RpcContext, params: readonly unknown[]) => Promise<unknown> };

/** The parameters have another shape (JSON-RPC −32602). */
export class InvalidParams extends Error {}

/** The method understood the call and refuses it (JSON-RPC 1, as Lotus does). */
export class RpcRefused extends Error {}

/** A method with a tuple of parameters; every one must be there, as in Lotus. */
export function method<S extends z.ZodType<readonly unknown[]>>(
  params: S,
  run: (context: RpcContext, params: z.infer<S>) => unknown,
): RpcMethod {
  return {
    run: async (context, given) => {
      const parsed = params.safeParse(given);
      if (!parsed.success) throw new InvalidParams(z.prettifyError(parsed.error));
      return run(context, parsed.data);
    },
  };
}

/** Name of the network, and of its every tipset key. */
export const NETWORK_NAME = 'sealpool-dev';

/** A tipset key, of one block as every tipset of this chain. */
export const TipsetKey = z.array(CidLink).max(1).nullable();

/** A tipset key. State of the past is not kept: only the head may be named, as `[]` or null. */
export const HeadKey = z
  .array(CidLink)
  .nullable()
  .refine((key) => key === null || key.length === 0, 'this dev chain keeps the state of its head only; pass []');

/** An ID address. */
export const IdAddress = z.string().transform((text, context) => {
  try {
    return { text, id: Number(actorId(text)) };
  } catch (error) {
    context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : 'not an ID address' });
    return z.NEVER;
  }
});

export const SectorNumber = z.number().int().nonnegative();
