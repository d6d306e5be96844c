/** A control plane that listens on all addresses: others are told where it is, and `0.0.0.0` is no place. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { advertised } from '../../src/main/advertised.ts';
import { Daemon } from '../e2e/processes.ts';

const PUBLIC = 'https://sealpool.test';
const WARNING = /^runners and clients on other machines are told http:\/\/\S+:\d+, .*; set public_url /;

test.each([
  ['0.0.0.0', 'http://0.0.0.0:7'],
  ['::', 'http://[::]:7'],
  ['0:0:0:0:0:0:0:0', 'http://[0:0:0:0:0:0:0:0]:7'],
])('%s is warned of, unless there is a public_url', (listen, url) => {
  expect(advertised({ listen, public_url: undefined }, 7)).toEqual({
    listening: url,
    url,
    warning: expect.stringMatching(WARNING),
  });
  expect(advertised({ listen, public_url: PUBLIC }, 7)).toEqual({ listening: url, url: PUBLIC, warning: undefined });
});

test.each(['127.0.0.1', '::1', '10.0.0.7', 'localhost'])('%s is a place', (listen) => {
  expect(advertised({ listen, public_url: undefined }, 7).warning).toBeUndefined();
});

test('it serves all the same; the log and the ready line have the warning', { timeout: 60_000 }, async () => {
  const data = mkdtempSync(join(tmpdir(), 'sealpool-listening-'));
  const env = { SEALPOOL_CHAIN_URL: 'http://127.0.0.1:1/rpc/v1', SEALPOOL_LISTEN: '0.0.0.0' };
  const daemon = new Daemon(['serve', '--data', data], env, join(data, 'log'));
  onTestFinished(async () => {
    await daemon.end('SIGTERM');
    rmSync(data, { recursive: true, force: true });
  });
  expect(await daemon.start()).toMatchObject({ ready: true, warning: expect.stringMatching(WARNING) });
  const warned = readFileSync(join(data, 'log'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { level: number; msg: string })
    .filter(({ level }) => level === 40);
  expect(warned).toMatchObject([{ msg: expect.stringMatching(WARNING) }]);
});
