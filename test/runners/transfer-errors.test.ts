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
  vi.useFakeTimers({ toFake: ['Date'] });
  let tries = 0;
  const step = (): Promise<never> => {
    tries += 1;
    vi.setSystemTime(Date.now() + 2 * OPTIONS.patienceMs);
    return Promise.reject(new Error('the connection was closed'));
  };
  await expect(withRetries(OPTIONS, 'sending part 1 of sealed', step)).rejects.toMatchObject({ code: 'transfer_failed' });
  expect(tries).toBe(2);
});
