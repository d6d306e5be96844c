/** Measuring the way to the object store: a real store, real transfers, and ones that go wrong. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { NetworkWatch, measureSpeed } from '../../src/runners/network-speed.ts';
import type { Probe } from '../../src/schema/runner.ts';
import { eventually, proverWork, useAgent } from './agent-fixture.ts';

const fixture = useAgent();
const SIZE_BYTES = 48 * 1024;
const never = new AbortController().signal;

async function probe(): Promise<Probe> {
  const { objects } = fixture.plane;
  await objects.put(
    'probes/down',
    (async function* () {
      yield Buffer.alloc(SIZE_BYTES, 5);
    })(),
    SIZE_BYTES,
  );
  const { partUrls } = await objects.createUpload('probes/up', SIZE_BYTES, 60_000);
  return { getUrl: await objects.getUrl('probes/down', 60_000), putUrl: partUrls[0] as string, sizeBytes: SIZE_BYTES };
}

test('measured once it has registered, and told from then on', async () => {
  fixture.plane.probe = await probe();
  await fixture.start({ measureNetwork: true });
  await eventually(() => fixture.plane.nexts.at(-1)?.resources.network).toMatchObject({
    downBytesPerS: expect.any(Number),
    upBytesPerS: expect.any(Number),
  });
  const { network } = fixture.plane.nexts.at(-1)?.resources ?? {};
  expect(Math.min(network?.downBytesPerS ?? 0, network?.upBytesPerS ?? 0)).toBeGreaterThan(0);
  const grant = await fixture.plane.grant({ work: proverWork({ do: 'copy' }) });
  await fixture.reported(grant.attempt);
  expect(fixture.plane.nexts.filter((next) => next.probe)).toHaveLength(1);
  // While it measured it had asked for nothing to do.
  expect(fixture.plane.nexts.find((next) => next.probe)).toMatchObject({ freeSlots: 0, waitMs: 0 });
});

test('not asked to, it does not; without anything to measure with, or where that fails, it works all the same', async () => {
  const first = await fixture.start();
  await eventually(() => fixture.plane.nexts.length).toBeGreaterThan(0);
  await first.stop();
  expect(fixture.plane.nexts.some((next) => next.probe)).toBe(false);
  const second = await fixture.start({ measureNetwork: true });
  await fixture.reported((await fixture.plane.grant({ work: proverWork({ do: 'copy' }) })).attempt);
  await second.stop();
  fixture.plane.probe = { ...(await probe()), getUrl: `${fixture.plane.url}/objects/forged` };
  await fixture.start({ measureNetwork: true });
  await fixture.reported((await fixture.plane.grant({ work: proverWork({ do: 'copy' }) })).attempt);
  expect(fixture.log.some(({ level, message }) => level === 'warn' && message.includes('was not measured'))).toBe(true);
  expect(fixture.plane.nexts.every(({ resources }) => resources.network === undefined)).toBe(true);
});

test('it comes due again after a failure, later after a success', async () => {
  const watch = new NetworkWatch(true);
  expect([watch.due, new NetworkWatch(false).due]).toEqual([true, false]);
  expect(await watch.measure(() => Promise.reject(new Error('away')), never)).toBe('away');
  expect(watch.due).toBe(false);
  const given = await probe();
  expect(await watch.measure(() => Promise.resolve(given), never)).toBeUndefined();
  expect(watch.measured.network?.measuredMs).toBeGreaterThan(0);
});

test('no more is taken than was said, whatever the store sends, and being stopped ends it', async () => {
  let sent = 0;
  const server = createServer((request, response) => {
    request.resume();
    if (request.method === 'PUT') return void request.once('end', () => response.end());
    const more = (): void => {
      while (!response.destroyed && response.write(Buffer.alloc(65_536))) sent += 65_536;
    };
    response.on('drain', more);
    more();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close().closeAllConnections());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { downBytesPerS } = await measureSpeed({ getUrl: url, putUrl: url, sizeBytes: SIZE_BYTES }, never);
  expect(downBytesPerS).toBeGreaterThan(0);
  // What was under way when the reader had enough.
  expect(sent).toBeLessThan(64 * 2 ** 20);
  await expect(measureSpeed({ getUrl: url, putUrl: url, sizeBytes: SIZE_BYTES }, AbortSignal.abort(new Error('stopped')))).rejects.toThrow(
    'stopped',
  );
});
