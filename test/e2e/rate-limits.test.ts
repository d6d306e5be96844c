/** The limits of the configuration, in a real process: by the socket's address, and by what a trusted proxy says. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { Daemon } from './processes.ts';

async function serving(env: Record<string, string>): Promise<{ url: string; token: string }> {
  const data = mkdtempSync(join(tmpdir(), 'sealpool-limits-'));
  const daemon = new Daemon(['serve', '--data', data], { SEALPOOL_CHAIN_URL: 'http://127.0.0.1:1/rpc/v1', ...env }, join(data, 'log'));
  onTestFinished(async () => {
    await daemon.end('SIGTERM');
    rmSync(data, { recursive: true, force: true });
  });
  const { url } = await daemon.start();
  return { url, token: readFileSync(join(data, 'admin.token'), 'utf8').trim() };
}

const guesses = async (url: string, addresses: readonly string[]): Promise<number[]> => {
  const statuses = [];
  for (const address of addresses) {
    const headers = { authorization: `Bearer sp-api-${'0'.repeat(64)}`, 'x-forwarded-for': address };
    statuses.push((await fetch(`${url}/v1/plans`, { headers })).status);
  }
  return statuses;
};

test('wrong tokens are counted by the address of the socket, whatever the client says it is', { timeout: 60_000 }, async () => {
  const { url } = await serving({ SEALPOOL_RATE_LIMITS_FAILED: '{ per_second = 0.001, burst = 3 }' });
  expect(await guesses(url, ['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.4'])).toEqual([401, 401, 401, 429]);
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
});

test('behind a trusted proxy each client counts for itself; a token has its own rate', { timeout: 60_000 }, async () => {
  const { url, token } = await serving({
    SEALPOOL_RATE_LIMITS_FAILED: '{ per_second = 0.001, burst = 2 }',
    SEALPOOL_RATE_LIMITS_TOKEN: '{ per_second = 0.001, burst = 2 }',
    SEALPOOL_TRUSTED_PROXIES: '["127.0.0.1"]',
  });
  const [one, two] = ['192.0.2.1', '192.0.2.2'];
  expect(await guesses(url, [one, one, one, two, two, two])).toEqual([401, 401, 429, 401, 401, 429]);
  const asked = [];
  for (let at = 0; at < 4; at += 1) asked.push(await fetch(`${url}/v1/plans`, { headers: { authorization: `Bearer ${token}` } }));
  expect(asked.map(({ status }) => status)).toEqual([200, 200, 200, 429]);
  expect(Number(asked.at(-1)?.headers.get('retry-after'))).toBeGreaterThan(900);
});
