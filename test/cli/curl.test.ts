/** `--verbose`: every command is run against a server that writes down requests, then what it printed is run in a shell. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { COMMANDS } from '../../src/cli/command-table.ts';
import { runCommand } from '../../src/cli/run.ts';

const TOKEN = "sp-api-of-a-test'$(exit 1)";
/** An answer in which every command finds what it looks for. */
const BYTES = 'bytes of a backup';
const HASH = `sha256:${createHash('sha256').update(BYTES).digest('hex')}`;

type Asked = { method: string; url: string; headers: Record<string, string | undefined>; body: string };
const asked: Asked[] = [];
let server: Server;
let base: string;
let folder: string;

function answer(url: string): object {
  if (url.startsWith('/v1/workers')) return { items: [{ worker: 'local', address: null, threads: [] }], worker: 'local' };
  const job = { id: 'j-aaaaaaaaaaaaaaaa', state: 'PC1Done' };
  const piece = { sector: 's-t01000-7', url: `${base}/bytes`, sizeBytes: String(BYTES.length), hash: HASH };
  return { items: [], cursor: null, after: 41, job, events: [], imported: 1, unchanged: 0, refused: [], ...piece };
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sealpool-curl-'));
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method = '', url = '', headers } = request;
      if (url === '/bytes') return void response.end(BYTES);
      const kept = ['accept', 'authorization', 'content-type', 'x-piece-size', 'last-event-id', 'idempotency-key', 'if-match'];
      const shown = Object.fromEntries(kept.map((name) => [name, headers[name] as string | undefined]));
      asked.push({ method, url, headers: shown, body: Buffer.concat(chunks).toString('base64') });
      if (headers.accept === 'text/event-stream') {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        return void response.end('data: {"seq":42,"to":"Finished","detail":{},"kind":"transition","actor":"engine","atMs":0}\n\n');
      }
      if (url === '/v1/backup') return void response.setHeader('x-sealpool-hash', HASH).end(BYTES);
      response.setHeader('content-type', 'application/json').end(JSON.stringify(answer(url)));
    });
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  writeFileSync(join(folder, "a piece's file"), Buffer.from([0, 10, 13, 26, 255]));
  copyFileSync(join(import.meta.dirname, '../import/fixtures/sectors.csv'), join(folder, 'sectors.csv'));
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

const J = 'j-aaaaaaaaaaaaaaaa';
/** What is typed after the words of each command. Several lines: forms that send something else. */
const TYPED: Readonly<Record<string, readonly (readonly string[])[]>> = {
  'sectors pledge': [
    ['--miner', 't01000', '--count', '3'],
    ['--plan', "it's $HOME", '--sector', 's-t01000-7'],
  ],
  'sectors snap': [['s-t01000-7', '--piece', 'p-1,p-2']],
  'sectors rebuild': [['s-t01000-7']],
  'sectors unseal': [['7', '--miner', '1000', '--offset', '0', '--size', '127']],
  'sectors list': [[], ['--state', 'PC1 Done&x=`y`', '--paused', '--limit', '3', '--cursor', 'a+b/c=']],
  'sectors show': [[J], [J, '--watch']],
  'sectors pause': [[J, '--now']],
  'sectors resume': [[J, '--state', 'PC1Done', '--force']],
  'sectors abort': [[J]],
  'sectors explain': [['s-t01000-7']],
  explain: [['s-t01000-7']],
  'sectors fetch': [[J, '--out', 'PIECE']],
  import: [['sectors.csv', '--from', 'csv']],
  export: [['--miner', 't01000']],
  events: [
    ['--after', '7', '--type', 'sector.error,audit'],
    ['--watch', '--miner', 't01000'],
  ],
  'pieces add': [["a piece's file", '--miner', 't01000', '--reserved']],
  'pieces list': [['--miner', 't01000']],
  'worker list': [[], ['--worker', 'a b']],
  'worker pause': [['-i', '0', '--now']],
  'worker resume': [['-i', '0']],
  'worker abort': [['-i', '0']],
  'worker enable': [['-i', '0']],
  'worker disable': [['-i', '0']],
  'worker limits': [[], ['concurrent.PC1=2']],
  'runners token': [['--trust', 'own', '--labels', 'a,b']],
  'runners tokens': [[]],
  'runners revoke': [['jt-0123456789abcdef']],
  'runners list': [[]],
  'runners show': [['r-aaaaaaaaaaaa']],
  'runners drain': [['r-aaaaaaaaaaaa']],
  'runners cordon': [['r-aaaaaaaaaaaa']],
  'runners uncordon': [['r-aaaaaaaaaaaa']],
  'runners logs': [['r-aaaaaaaaaaaa', '--limit', '5']],
  'runners ban': [['r-aaaaaaaaaaaa']],
  'settings show': [[]],
  'settings set': [['staggered.PC1=5m']],
  'tokens create': [['--name', "o'brien", '--role', 'viewer']],
  'tokens list': [[]],
  'tokens rotate': [['a-aaaaaaaaaaaa']],
  'tokens revoke': [['a-aaaaaaaaaaaa']],
  'webhooks create': [['https://example.com/?a=b&c', '--description', "o'brien", '--types', 'audit', '--allow-private']],
  'webhooks list': [[]],
  'webhooks show': [['w-aaaaaaaaaaaa']],
  'webhooks update': [['w-aaaaaaaaaaaa', '--miners', 'all', '--version', '3']],
  'webhooks delete': [['w-aaaaaaaaaaaa']],
  'webhooks test': [['w-aaaaaaaaaaaa']],
  'webhooks rotate': [['w-aaaaaaaaaaaa']],
  'webhooks enable': [['w-aaaaaaaaaaaa']],
  'webhooks disable': [['w-aaaaaaaaaaaa']],
  'webhooks log': [['w-aaaaaaaaaaaa', '--limit', '3']],
  'webhooks redeliver': [['w-aaaaaaaaaaaa', 'd-aaaaaaaaaaaa']],
  'storage list': [[]],
  'storage find': [['s-t01000-7']],
  'storage cordon': [['disk-1']],
  'storage uncordon': [['disk-1']],
  'storage move': [
    ['s-t01000-7', 's-t01000-8', '--to', 'disk-2', '--force'],
    ['s-t01000-7', '--stop'],
  ],
  'storage moves': [[]],
  'storage drain': [['disk-1'], ['disk-1', '--force']],
  'storage scrub': [['disk-1']],
  'storage declare': [['disk-1']],
  backup: [['BACKUP', '--force']],
  gc: [['--dry-run', '--unknown'], ['--unknown'], []],
  'util worker list': [[]],
  'util worker info': [['local']],
  'util worker pause': [['local', '0']],
  'util worker resume': [['local', '0', 'PC1Done']],
  'util sealer sectors list': [[]],
  'util sealer sectors state': [['1000', '7']],
  'util sealer sectors abort': [['1000', '7', '--really-do-it']],
  'util sealer sectors rebuild': [['1000', '7']],
};

/** Files stand in a folder of the test; what a command prints goes nowhere but its errors. */
async function verbose(words: string, args: readonly string[]): Promise<string[]> {
  const lines: string[] = [];
  const at = args.map((arg) => (/^(sectors\.csv|a piece|PIECE|BACKUP)/.test(arg) ? join(folder, arg) : arg));
  // What streams until it is interrupted, is, once something came.
  const out = (): void => void (words === 'events' && args.includes('--watch') && process.emit('SIGINT'));
  const code = await runCommand([...words.split(' '), ...at, '--verbose', '--json'], () => ({ url: base, token: TOKEN }), {
    out,
    err: (line) => lines.push(line),
  });
  expect({ code, lines: lines.filter((line) => !line.startsWith('curl ')) }).toEqual({ code: 0, lines: [] });
  return lines;
}

async function inShell(line: string): Promise<void> {
  const child = spawn('sh', ['-c', `${line} --silent --show-error --output /dev/null`], {
    env: { PATH: process.env['PATH'], SEALPOOL_TOKEN: TOKEN },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  expect(await new Promise((resolve) => child.once('close', resolve))).toBe(0);
}

const sending = COMMANDS.filter(({ alone }) => alone !== true).map(({ words }) => words);

test.each(sending)('`sealpool %s --verbose` prints what does the same in a shell', async (words) => {
  for (const args of TYPED[words] ?? [[]]) {
    asked.length = 0;
    const lines = await verbose(words, args);
    const own = asked.splice(0);
    for (const line of lines) await inShell(line);
    expect(own).not.toEqual([]);
    expect(asked).toEqual(own);
    expect(lines.join('\n')).not.toContain(TOKEN);
  }
});

test('every command is among those that are typed here', () => {
  expect(sending.filter((words) => TYPED[words] === undefined)).toEqual([]);
});
