/** A link to the node that can be cut at one call, before the node has seen it or before its answer is back, and on which the world goes on between two calls. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Cut = 'before' | 'after';

export type FaultyLink = {
  readonly url: string;
  /** Names of the RPC methods that came through or were cut, in order. */
  readonly calls: string[];
  /** Cuts the call that comes after `index` others from now. */
  cutAt(index: number, cut: Cut): void;
  /** Does something before the call that comes after `index` others from now is forwarded. */
  meanwhile(index: number, work: () => Promise<unknown>): void;
  /** Forgets what was to be cut or done. */
  heal(): void;
  close(): Promise<void>;
};

/** Forwards every POST to `target`, except the one to be cut. */
export async function faultyLink(target: string): Promise<FaultyLink> {
  const calls: string[] = [];
  let interlude: { left: number; work: () => Promise<unknown> } | undefined;
  let plan: { left: number; cut: Cut } | undefined;
  const server: Server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    calls.push((JSON.parse(body.toString()) as { method: string }).method.replace('Filecoin.', ''));
    if (interlude !== undefined && interlude.left-- === 0) await interlude.work();
    const cut = plan !== undefined && plan.left-- === 0 ? plan.cut : undefined;
    if (cut === 'before') return void request.socket.destroy();
    const answer = await fetch(target, {
      method: 'POST',
      headers: { authorization: request.headers.authorization ?? '', 'content-type': 'application/json' },
      body,
    });
    const text = await answer.text();
    if (cut === 'after') return void request.socket.destroy();
    response.writeHead(answer.status, { 'content-type': 'application/json' }).end(text);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/rpc/v1`,
    calls,
    cutAt: (index, cut) => {
      plan = { left: index, cut };
    },
    meanwhile: (index, work) => {
      interlude = { left: index, work };
    },
    heal: () => {
      plan = undefined;
      interlude = undefined;
    },
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
