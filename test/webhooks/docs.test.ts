/** The code of docs/webhooks.md, run as it stands on a real delivery: JavaScript and Python with the official libraries. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openSender } from '../../src/webhooks/send.ts';
import { RETRY_WAITS_MS } from '../../src/scheduler/deliveries.ts';
import { type Received, receiver } from './receiver.ts';

const ROOT = join(import.meta.dirname, '../..');
const DOCS = readFileSync(join(ROOT, 'docs/webhooks.md'), 'utf8');
const PYTHON = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'sealpool/python/bin/python');
const SECRET = `whsec_${Buffer.alloc(32, 3).toString('base64')}`;
const BODY = JSON.stringify({ type: 'audit', timestamp: '2027-01-15T08:00:00.000Z', data: { text: 'žluťoučký kůň "\\ 🐎' } });

const block = (language: string): string => new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, 's').exec(DOCS)?.[1] ?? '';

async function delivered(): Promise<Received> {
  const there = await receiver();
  const sender = openSender({ now: Date.now });
  const webhook = { url: there.url, secret: SECRET, allowPrivate: true };
  expect(await sender.send({ delivery: { message: 'ev-1' }, webhook, body: BODY })).toMatchObject({ status: 204 });
  await sender.close();
  return there.received[0] as Received;
}

/** Verifies the delivery, then the same one with a changed body; answers the payload, or fails. */
function verifiedBy(program: string, name: string, code: string, input: object): unknown {
  // Beside the packages, so that the module finds them.
  const folder = mkdtempSync(join(name.endsWith('.mjs') ? join(ROOT, 'test/webhooks') : tmpdir(), 'docs-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, name);
  writeFileSync(file, code);
  const { stdout, stderr, status } = spawnSync(program, [file], { input: JSON.stringify(input), encoding: 'utf8', timeout: 15_000 });
  expect({ status, stderr }).toMatchObject({ status: 0 });
  return JSON.parse(stdout);
}

test('JavaScript', async () => {
  const { headers, body } = await delivered();
  const code = `${block('js')}
import { readFileSync } from 'node:fs';
const { secret, body, headers } = JSON.parse(readFileSync(0, 'utf8'));
let refused = false;
try { verified(secret, body + ' ', headers); } catch { refused = true; }
console.log(JSON.stringify({ payload: verified(secret, body, headers), refused }));
`;
  const answer = verifiedBy(process.execPath, 'verify.mjs', code, { secret: SECRET, body, headers });
  expect(answer).toEqual({ payload: JSON.parse(BODY), refused: true });
});

test.runIf(existsSync(PYTHON))('Python', async () => {
  const { headers, body } = await delivered();
  const code = `${block('python')}
import json, sys
given = json.loads(sys.stdin.buffer.read().decode())
refused = False
try:
    verified(given["secret"], given["body"] + " ", given["headers"])
except Exception:
    refused = True
payload = verified(given["secret"], given["body"], given["headers"])
print(json.dumps({"payload": payload, "refused": refused}))
`;
  const answer = verifiedBy(PYTHON, 'verify.py', code, { secret: SECRET, body, headers });
  expect(answer).toEqual({ payload: JSON.parse(BODY), refused: true });
});

test('the waits of the document are those of the code', () => {
  const told = '5 seconds, 5 and 30 minutes, 2, 5, 10, 14, 20 and 24 hours';
  expect(DOCS).toContain(told);
  const [seconds, minutes, hours] = [[5], [5, 30], [2, 5, 10, 14, 20, 24]] as const;
  expect(RETRY_WAITS_MS).toEqual([...seconds.map((n) => n * 1_000), ...minutes.map((n) => n * 60_000), ...hours.map((n) => n * 3_600_000)]);
});
