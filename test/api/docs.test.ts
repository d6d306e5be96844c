/** The page at /docs in a real browser, which reaches nothing but the control plane. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RunningServer, listen } from '../../src/main/http-server.ts';
import { ApiWorld } from './api-world.ts';

const CHROMIUM = '/usr/bin/chromium';
const ARGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  // Nothing but this machine has an address.
  '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
];

let world: ApiWorld;
let server: RunningServer;
beforeAll(async () => {
  world = await ApiWorld.open();
  server = await listen(world.app.fetch, '127.0.0.1', 0);
});
afterAll(async () => {
  await server.close(0);
  world.close();
});

test.runIf(existsSync(CHROMIUM))(
  '/docs shows the operations and opens one, without the network and within its policy',
  { timeout: 90_000 },
  async () => {
    const origin = `http://127.0.0.1:${server.port}`;
    const profile = mkdtempSync(join(tmpdir(), 'sealpool-docs-'));
    const browser = await chromium.launchPersistentContext(profile, { executablePath: CHROMIUM, args: ARGS });
    try {
      const [foreign, complaints]: [string[], string[]] = [[], []];
      browser.on('request', (request) => {
        const url = request.url();
        if (!url.startsWith(`${origin}/`) && !url.startsWith('data:')) foreign.push(url);
      });
      const page = await browser.newPage();
      page.setDefaultTimeout(60_000);
      page.on('console', (message) => {
        if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
      });
      page.on('pageerror', (error) => complaints.push(error.message));
      await page.addInitScript(
        "addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) => console.error('CSP', violatedDirective, blockedURI))",
      );
      const answer = await page.goto(`${origin}/docs`);
      expect(answer?.headers()['content-security-policy']).toMatch(/script-src 'self';/);
      const operation = page.locator('#operations-sectors-getSectors');
      await operation.waitFor();
      expect(await page.locator('.opblock').count()).toBeGreaterThan(25);
      await operation.locator('.opblock-summary-control').click();
      await operation.locator('.opblock-body').getByText('Most items of one page.').waitFor();
      expect({ foreign, complaints }).toEqual({ foreign: [], complaints: [] });
      // The watch on the policy is at work: what runs inline is stopped and heard of.
      await page.evaluate("document.body.append(Object.assign(document.createElement('script'), { textContent: 'self.ran = true' }))");
      expect(await page.evaluate('self.ran')).toBeUndefined();
      await expect.poll(() => complaints.some((text) => text.startsWith('CSP script-src'))).toBe(true);
    } finally {
      await browser.close();
      rmSync(profile, { recursive: true, force: true });
    }
  },
);

test('no other file of the package is served', async () => {
  const other = await world.call('GET', '/docs/package.json');
  expect([other.status, other.type]).toEqual([404, 'application/problem+json']);
  expect((await world.call('GET', '/docs/..%2fpackage.json')).status).toBe(404);
  expect((await world.call('GET', '/docs/__proto__')).status).toBe(404);
});
