/** One connection that is asked again and again, over TCP and TLS, by a reader that takes its time. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type RequestListener, type Server, createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RangeLane } from '../../src/runners/range-lane.ts';
import { bytesOf } from '../objects/conformance.ts';

const bytes = bytesOf('lane', 5 * 2 ** 20 + 17);
const folder = mkdtempSync(join(tmpdir(), 'range-lane-'));
const usual = getCACertificates('default');

function certificate(): { cert: string; key: string } {
  const [certFile, keyFile] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  const names = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  execFileSync('openssl', ['req', '-x509', ...kind, ...names, '-keyout', keyFile, '-out', certFile], { stdio: 'ignore' });
  return { cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') };
}

describe.each(spawnSync('openssl', ['version']).status === 0 ? (['http', 'https'] as const) : (['http'] as const))('%s', (scheme) => {
  let server: Server;
  let connections = 0;
  let answer: RequestListener;
  beforeAll(async () => {
    const listener: RequestListener = (request, response) => answer(request, response);
    if (scheme === 'http') server = createServer(listener);
    else {
      const { cert, key } = certificate();
      setDefaultCACertificates([...usual, cert]);
      server = createTlsServer({ cert, key }, listener);
    }
    server.on(scheme === 'http' ? 'connection' : 'secureConnection', () => (connections += 1));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterAll(async () => {
    setDefaultCACertificates(usual);
    await new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    });
    if (scheme === 'https') rmSync(folder, { recursive: true });
  });

  /** Reads as a slow disk does: what is handed over must stay as it is until it was dealt with. */
  async function read(lane: RangeLane): Promise<Buffer> {
    const got: Buffer[] = [];
    const each = async (slice: Buffer): Promise<void> => {
      for (let turns = 0; turns < 20; turns++) await turn();
      got.push(Buffer.from(slice));
    };
    const refuse = (status: number, body: string): Error => new Error(`${status} ${body}`);
    const url = `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}/x`;
    await lane.get(url, {}, new AbortController().signal, { begin: () => undefined, each, refuse });
    return Buffer.concat(got);
  }

  test('a slow reader gets every byte once and in order, time after time over one connection', async () => {
    answer = (_request, response) => {
      response.writeHead(200, { 'content-length': bytes.length });
      response.end(bytes);
    };
    const lane = new RangeLane(30_000);
    connections = 0;
    for (let time = 0; time < 3; time++) expect((await read(lane)).equals(bytes)).toBe(true);
    expect(connections).toBe(1);
    lane.close();
  });

  test('a refusal is told with its body; after one, and after a broken answer, the lane goes on', async () => {
    const lane = new RangeLane(30_000);
    answer = (_request, response) => void response.writeHead(403, { 'content-length': 5 }).end('no no');
    await expect(read(lane)).rejects.toThrow('403 no no');
    answer = (_request, response) => {
      response.writeHead(200, { 'content-length': bytes.length });
      response.write(bytes.subarray(0, 2 ** 20 + 5), () => response.destroy());
    };
    await expect(read(lane)).rejects.toThrow(/closed|reset|ECONNRESET|aborted/);
    answer = (_request, response) => void response.writeHead(206, { 'content-length': 10 }).end(bytes.subarray(0, 10));
    expect(await read(lane)).toEqual(bytes.subarray(0, 10));
    lane.close();
  });

  test('a server that says nothing is given up', async () => {
    const lane = new RangeLane(100);
    answer = () => undefined;
    await expect(read(lane)).rejects.toThrow('no byte for 0.1 s');
    lane.close();
  });
});
