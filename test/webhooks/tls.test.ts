/** https to a name that leads to an allowed address works; a certificate that nobody vouches for does not. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openSender } from '../../src/webhooks/send.ts';

const OPENSSL = spawnSync('openssl', ['version']).status === 0;
const NAME = 'receiver.test';
const SECRET = `whsec_${Buffer.alloc(32, 1).toString('base64')}`;

describe.runIf(OPENSSL)('https', () => {
  let folder: string;
  let ca: string;
  let server: ReturnType<typeof createServer>;
  let port: number;
  const seen: { host: string | undefined; id: unknown }[] = [];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'sealpool-tls-'));
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    const subject = ['-subj', `/CN=${NAME}`, '-addext', `subjectAltName=DNS:${NAME}`, '-days', '2'];
    const made = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key, '-out', cert];
    execFileSync('openssl', [...made, ...subject], { stdio: 'ignore' });
    ca = readFileSync(cert, 'utf8');
    server = createServer({ key: readFileSync(key), cert: ca }, (req, res) => {
      seen.push({ host: req.headers.host, id: req.headers['webhook-id'] });
      res.writeHead(204).end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    ({ port } = server.address() as { port: number });
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  async function send(name: string, options: { ca?: string; refused?: () => boolean }) {
    const sender = openSender({ now: Date.now, resolve: async () => [{ address: '127.0.0.1', family: 4 }], ...options });
    const webhook = { url: `https://${name}:${port}/hook`, secret: SECRET, allowPrivate: false };
    const outcome = await sender.send({ delivery: { message: 'ev-1' }, webhook, body: '{}' });
    await sender.close();
    return outcome;
  }
  const open = { refused: () => false };

  test('a certificate of the name is good', async () => {
    expect(await send(NAME, { ca, ...open })).toEqual({ status: 204, error: null });
    expect(seen).toEqual([{ host: `${NAME}:${port}`, id: 'ev-1' }]);
  });

  test.each([
    ['nobody vouches for it', NAME, () => ({ ...open })],
    ['it is of another name', 'other.test', () => ({ ca, ...open })],
    ['the address is private', NAME, () => ({ ca })],
  ])('nothing is sent when %s', async (_why, name, options) => {
    const before = seen.length;
    expect(await send(name, options())).toMatchObject({
      status: null,
      error: expect.stringMatching(/SELF_SIGNED|ALTNAME|no public address/),
    });
    expect(seen).toHaveLength(before);
  });
});
