/** Every form of an address inside the house is refused, by whatever way it is written. */
import { expect, test } from 'vitest';
import { isPrivate } from '../../src/webhooks/addresses.ts';
import { openSender } from '../../src/webhooks/send.ts';

const SECRET = `whsec_${Buffer.alloc(32).toString('base64')}`;

test.each([
  '0.0.0.0',
  '0.1.2.3',
  '10.0.0.1',
  '100.64.0.1',
  '100.127.255.255',
  '127.0.0.1',
  '127.8.9.10',
  '169.254.169.254',
  '172.16.0.1',
  '172.31.255.255',
  '192.0.0.170',
  '192.0.2.1',
  '192.168.1.1',
  '198.18.0.1',
  '198.51.100.1',
  '203.0.113.1',
  '224.0.0.1',
  '239.255.255.255',
  '240.0.0.1',
  '255.255.255.255',
  '::',
  '::1',
  '::ffff:169.254.169.254',
  '::ffff:a9fe:a9fe',
  '::ffff:8.8.8.8',
  '::169.254.169.254',
  '64:ff9b::169.254.169.254',
  '64:ff9b::a9fe:a9fe',
  '64:ff9b::7f00:1',
  '64:ff9b::a00:1',
  '64:ff9b:0:0:0:0:10.0.0.1',
  '64:ff9b:1::1',
  '2002:a9fe:a9fe::1',
  '2001::1',
  '2001:db8::1',
  '3fff::1',
  '100::1',
  'fc00::1',
  'fd00:ec2::254',
  'fe80::1',
  'fe80::1%eth0',
  'fec0::1',
  'ff02::1',
  '[::1]',
  'localhost',
  '',
])('%s is refused', (address) => expect(isPrivate(address)).toBe(true));

test.each([
  '8.8.8.8',
  '1.1.1.1',
  '100.63.255.255',
  '100.128.0.0',
  '172.15.0.1',
  '172.32.0.1',
  '169.253.1.1',
  '2606:4700::1111',
  '2a00:1450:4001::1',
  '64:ff9b::808:808',
  '64:ff9b::'.concat('8.8.4.4'),
])('%s is public', (address) => expect(isPrivate(address)).toBe(false));

test.each([
  'https://0xa9fea9fe/',
  'https://2852039166/',
  'https://0251.0376.0251.0376/',
  'https://169.254.43518/',
  'https://169.254.169.254./',
  'https://[::ffff:169.254.169.254]/',
  'https://[::ffff:a9fe:a9fe]/',
  'https://[64:ff9b::169.254.169.254]/',
  'https://[64:ff9b::a9fe:a9fe]/',
  'https://[::]/',
  'https://0/',
  'https://127.1/',
  'https://①②⑦.⓪.⓪.①/',
])('%s is not connected to', async (url) => {
  const sender = openSender({ now: Date.now });
  const outcome = await sender.send({ delivery: { message: 'ev-1' }, webhook: { url, secret: SECRET, allowPrivate: false }, body: '{}' });
  expect(outcome).toEqual({ status: null, error: expect.stringMatching(/at no public address; use a public one/) });
  await sender.close();
});

test('a name of this machine is no public one, whether the name servers know it or not', async () => {
  const sender = openSender({ now: Date.now });
  const webhook = { url: 'https://localhost/', secret: SECRET, allowPrivate: false };
  const outcome = await sender.send({ delivery: { message: 'ev-1' }, webhook, body: '{}' });
  expect(outcome).toEqual({
    status: null,
    error: expect.stringMatching(/at no public address|ENOTFOUND|ENODATA|ETIMEOUT|ECONNREFUSED|ESERVFAIL/),
  });
  await sender.close();
});
