/** A backup while others write: whole, consistent, and with everything that was answered before it began. */
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import { openBackups } from '../../src/store/backup.ts';
import { openNodeStore } from '../../src/store/node.ts';
import { fileOf, freshFolder, sha256 } from './files.ts';

const PADDING = 'x'.repeat(20_000);

function opened() {
  const folder = freshFolder();
  const store = openNodeStore({ path: join(folder, 'sealpool.sqlite'), onFatal: (error) => expect.fail(error.message) });
  return { folder, store };
}

test(
  'two writers go on; the copy is whole, has every write answered before it began, and pairs are never torn',
  { timeout: 60_000 },
  async () => {
    const { folder, store } = opened();
    const answered: number[] = [];
    let stop = false;
    // Each write is two rows that belong together.
    const writer = async (first: number): Promise<void> => {
      for (let n = first; !stop; n += 2) {
        await store.commit((tx) => {
          tx.setMeta(`left:${n}`, PADDING);
          tx.setMeta(`right:${n}`, PADDING);
        });
        answered.push(n);
      }
    };
    const writers = [writer(0), writer(1)];
    while (answered.length < 200) await new Promise((resolve) => setImmediate(resolve));
    const backups = await openBackups({ source: store, folder, minFreeBytes: 0 });
    const before = [...answered];
    const copy = await backups.make();
    const during = answered.length - before.length;
    stop = true;
    await Promise.all(writers);
    const file = await fileOf(copy, join(folder, 'copy'));
    store.close();

    expect(during).toBeGreaterThan(0);
    expect(statSync(file).size).toBe(copy.sizeBytes);
    expect(sha256(file)).toBe(copy.hash);
    const client = new Database(file, { readonly: true });
    expect(client.pragma('integrity_check')).toEqual([{ integrity_check: 'ok' }]);
    // One file: no log that could be left behind.
    expect(client.pragma('journal_mode')).toEqual([{ journal_mode: 'delete' }]);
    const keys = new Set(client.prepare('select key from meta').pluck().all() as string[]);
    client.close();
    expect(before.filter((n) => !keys.has(`left:${n}`))).toEqual([]);
    const numbers = (side: string): string[] =>
      [...keys].filter((key) => key.startsWith(`${side}:`)).map((key) => key.split(':')[1] as string);
    expect(numbers('left').sort()).toEqual(numbers('right').sort());
  },
);

test('nothing stays in the data folder, whether the copy is read or not; a draft of a crash is swept at the next start', async () => {
  const { folder, store } = opened();
  writeFileSync(join(folder, 'backup-draft-0011'), 'half');
  writeFileSync(join(folder, 'backup-draft-0011-journal'), 'half');
  const backups = await openBackups({ source: store, folder, minFreeBytes: 0 });
  const drafts = (): string[] => readdirSync(folder).filter((name) => name.startsWith('backup-draft-'));
  expect(drafts()).toEqual([]);
  const unread = await backups.make();
  expect(drafts()).toEqual([]);
  await unread.body.cancel();
  store.close();
});

test('a second one at a time is refused, the next one is not', async () => {
  const { folder, store } = opened();
  const backups = await openBackups({ source: store, folder, minFreeBytes: 0 });
  const [first, second] = await Promise.allSettled([backups.make(), backups.make()]);
  expect(first.status).toBe('fulfilled');
  expect(second).toMatchObject({ status: 'rejected', reason: { code: 'backup_running', status: 409 } });
  await (await backups.make()).body.cancel();
  if (first.status === 'fulfilled') await first.value.body.cancel();
  store.close();
});

test('without room for the copy it is refused before anything is written', async () => {
  const { folder, store } = opened();
  const backups = await openBackups({ source: store, folder, minFreeBytes: Number.MAX_SAFE_INTEGER });
  await expect(backups.make()).rejects.toMatchObject({ code: 'storage_full', status: 503 });
  expect(readdirSync(folder).some((name) => name.startsWith('backup-draft-'))).toBe(false);
  store.close();
});

test('a control plane that is asked to end while a backup is made ends, and leaves no draft', async () => {
  const { folder, store } = opened();
  for (let n = 0; n < 500; n += 1) await store.commit((tx) => tx.setMeta(`key:${n}`, PADDING));
  const backups = await openBackups({ source: store, folder, minFreeBytes: 0 });
  const making = backups.make();
  setImmediate(() => store.close());
  await expect(making).rejects.toThrow();
  expect(readdirSync(folder).filter((name) => name.startsWith('backup-draft-'))).toEqual([]);
});
