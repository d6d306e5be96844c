/** One JSON-RPC request, or a batch, to its answer. Errors carry the codes Lotus gives. */
import { z } from 'zod';
import { Refused } from '../mempool.ts';
import { CHAIN_METHODS } from './chain-methods.ts';
import { DEADLINE_METHODS } from './deadline-methods.ts';
import { MESSAGE_METHODS } from './message-methods.ts';
import { InvalidParams, type RpcContext, type RpcMethod, RpcRefused } from './method.ts';
import { STATE_METHODS } from './state-methods.ts';

const METHODS = new Map<string, RpcMethod>(
  Object.entries({ ...CHAIN_METHODS, ...STATE_METHODS, ...DEADLINE_METHODS, ...MESSAGE_METHODS }).map(([name, method]) => [
    `Filecoin.${name}`,
    method,
  ]),
);

const Request = z.object({
  jsonrpc: z.literal('2.0'),
  id: z.union([z.string(), z.number(), z.null()]).optional(),
  method: z.string(),
  params: z.array(z.unknown()).nullish(),
});

const MAX_BATCH = 100;

/** The answer to the body of a POST; `text` is what was sent. */
export async function dispatch(context: RpcContext, text: string): Promise<unknown> {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return failure(null, -32700, 'the body is not JSON');
  }
  if (!Array.isArray(body)) return answer(context, body);
  if (body.length === 0 || body.length > MAX_BATCH) return failure(null, -32600, `a batch has 1 to ${MAX_BATCH} requests`);
  const answers: unknown[] = [];
  for (const request of body) answers.push(await answer(context, request));
  return answers;
}

async function answer(context: RpcContext, body: unknown): Promise<unknown> {
  const request = Request.safeParse(body);
  if (!request.success) return failure(null, -32600, `not a JSON-RPC 2.0 request: ${z.prettifyError(request.error)}`);
  const { id = null, method: name, params } = request.data;
  const method = METHODS.get(name);
  if (method === undefined) return failure(id, -32601, `method '${name}' not found`);
  try {
    return { jsonrpc: '2.0', id, result: await method.run(context, params ?? []) };
  } catch (error) {
    if (error instanceof InvalidParams) return failure(id, -32602, `${name}: ${error.message}`);
    if (error instanceof RpcRefused || error instanceof Refused) return failure(id, 1, error.message);
    const reason = error instanceof Error ? error.message : String(error);
    context.options.log?.(`${name} failed: ${reason}`);
    return failure(id, -32603, reason);
  }
}

function failure(id: string | number | null, code: number, message: string): unknown {
  return { jsonrpc: '2.0', id, error: { code, message } };
}
