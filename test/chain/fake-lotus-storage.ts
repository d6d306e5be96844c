/**
 * Lotus' sector index as an HTTP server, as strict as the real one: parameters by position and type, the token's permission, errors in
 * a JSON-RPC body, paths that have to be attached before anything is declared in them (a real one then fails every listing).
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import { z } from 'zod';

const Sector = z.strictObject({ Miner: z.number().int().nonnegative(), Number: z.number().int().nonnegative() });
const Type = z.union([1, 2, 4, 8, 16].map((type) => z.literal(type)));
const Declared = z.tuple([z.string().min(1), Sector, Type, z.boolean()]);
const Found = z.tuple([Sector, Type, z.number().int().positive(), z.boolean()]);
const Dropped = z.tuple([z.string().min(1), Sector, Type]);
const Call = z.strictObject({ jsonrpc: z.literal('2.0'), id: z.number(), method: z.string(), params: z.array(z.unknown()) });

export class FakeLotusStorage {
  url = '';
  token = 'admin-token';
  readonly attached = new Set<string>();
  /** `storage type s-t0…`, as declared. */
  readonly declared = new Set<string>();
  readonly calls: string[] = [];
  /** What a real index would have broken at. */
  readonly violations: string[] = [];
  /** Answers calls with this status, as a proxy in front of a dead node does. */
  failWith: number | undefined;
  /** Takes declarations and forgets them. */
  forgets = false;

  static async start(): Promise<FakeLotusStorage> {
    const fake = new FakeLotusStorage();
    const server = createServer((request, response) => {
      let body = '';
      request.on('data', (bytes) => (body += String(bytes)));
      request.on('end', () => {
        if (fake.failWith !== undefined) return void response.writeHead(fake.failWith).end('bad gateway');
        if (request.headers.authorization !== `Bearer ${fake.token}`) return void response.writeHead(401).end();
        const { id, method, params } = Call.parse(JSON.parse(body));
        const answer = fake.#answer(method, params);
        response.setHeader('content-type', 'application/json').end(JSON.stringify({ jsonrpc: '2.0', id, ...answer }));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void (server.close(), server.closeAllConnections()));
    fake.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/rpc/v0`;
    return fake;
  }

  #answer(method: string, params: unknown[]): { result: unknown } | { error: { code: number; message: string } } {
    this.calls.push(method);
    const error = (code: number, message: string) => ({ error: { code, message } });
    try {
      switch (method) {
        case 'Filecoin.StorageInfo': {
          const [id] = z.tuple([z.string()]).parse(params);
          return this.attached.has(id)
            ? { result: { ID: id, URLs: ['http://x/remote'], Weight: 10, CanStore: true } }
            : error(1, 'sector store not found');
        }
        case 'Filecoin.StorageDeclareSector': {
          const [id, sector, type] = Declared.parse(params);
          if (!this.attached.has(id)) this.violations.push(`declared in ${id}, which is not attached`);
          if (!this.forgets) this.declared.add(`${id} ${type} s-t0${sector.Miner}-${sector.Number}`);
          return { result: null };
        }
        case 'Filecoin.StorageFindSector': {
          const [sector, type, , allowFetch] = Found.parse(params);
          if (allowFetch) this.violations.push('asked for paths that it could be fetched to');
          const here = [...this.attached].filter((id) => this.declared.has(`${id} ${type} s-t0${sector.Miner}-${sector.Number}`));
          return { result: here.length === 0 ? null : here.map((id) => ({ ID: id, URLs: [], Primary: true, CanStore: true })) };
        }
        case 'Filecoin.StorageDropSector': {
          const [id, sector, type] = Dropped.parse(params);
          this.declared.delete(`${id} ${type} s-t0${sector.Miner}-${sector.Number}`);
          return { result: null };
        }
        default:
          return error(-32601, `method '${method}' not found`);
      }
    } catch (cause) {
      this.violations.push(`${method}: ${String(cause)}`);
      return error(-32602, 'wrong parameters');
    }
  }
}
