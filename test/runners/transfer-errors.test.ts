/** Which failures of a transfer are tried again. */
import { afterEach, expect, test, vi } from 'vitest';
import { withRetries } from '../../src/runners/transfer-errors.ts';

afterEach(() => void vi.useRealTimers());

const OPTIONS = { signal: new AbortController().signal, patienceMs: 60_000 };

test.each(['ENOSPC', 'EDQUOT', 'EIO', 'EROFS'])('%s of the own disk ends it at once', async (code) => {
  let tries = 0;
  const full = Object.assign(new Error(`${code}: write`), { code });
  const step = (): Promise<never> => {
    tries += 1;
    return Promise.reject(full);
  };
  await expect(withRetries(OPTIONS, 'fetching sealed', step)).rejects.toBe(full);
  expect(tries).toBe(1);
});

test('a connection that breaks is made again', async () => {
  let tries = 0;
  const step = (): Promise<string> => {
    tries += 1;
    return tries < 3 ? Promise.reject(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' })) : Promise.resolve('all of it');
  };
  expect(await withRetries(OPTIONS, 'fetching sealed', step)).toBe('all of it');
});

test('what broke late is tried once more, whatever the patience', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  let tries = 0;
  const step = (): Promise<never> => {
    tries += 1;
    vi.advanceTimersByTime(2 * OPTIONS.patienceMs);
    return Promise.reject(new Error('the connection was closed'));
  };
  await expect(withRetries(OPTIONS, 'sending part 1 of sealed', step)).rejects.toMatchObject({ code: 'transfer_failed' });
  expect(tries).toBe(2);
});

test('a step of the clock takes nothing of the patience', async () => {
  vi.useFakeTimers({ toFake: ['Date'] });
  let tries = 0;
  const step = (): Promise<string> => {
    tries += 1;
    vi.setSystemTime(Date.now() + 2 * OPTIONS.patienceMs);
    return tries < 3 ? Promise.reject(new Error('the connection was closed')) : Promise.resolve('all of it');
  };
  expect(await withRetries(OPTIONS, 'sending part 1 of sealed', step)).toBe('all of it');
});

test('patience runs only while the control plane answers, and all of it once it answers again', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  let tries = 0;
  const step = (): Promise<never> => {
    tries += 1;
    vi.advanceTimersByTime(tries < 5 ? 2 * OPTIONS.patienceMs : 0.6 * OPTIONS.patienceMs);
    return Promise.reject(new Error('connect ECONNREFUSED'));
  };
  const options = { ...OPTIONS, reachable: () => tries >= 5 };
  await expect(withRetries(options, 'sending part 1 of sealed', step)).rejects.toMatchObject({ code: 'transfer_failed' });
  expect(tries).toBe(6);
});

test('a cancel ends it while the control plane is away', async () => {
  const stop = new AbortController();
  const step = (): Promise<never> => {
    stop.abort(new Error('cancelled'));
    return Promise.reject(new Error('connect ECONNREFUSED'));
  };
  const options = { signal: stop.signal, patienceMs: 0, reachable: () => false };
  await expect(withRetries(options, 'sending part 1 of sealed', step)).rejects.toThrow('cancelled');
});
