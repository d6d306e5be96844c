/** `sealpool storage …`: miner storage. */
import type { StorageAnswer, StorageView, StoredSectorView } from '../../api/client.ts';
import { isBucket } from '../../schema/miner-storage.ts';
import { type Command, argument } from '../command.ts';
import { sentOnce } from '../once.ts';
import { plain, size, table, time } from '../text.ts';
import { ATTACH_STORAGE } from './storage-attach.ts';
import { STORAGE_MOVE } from './storage-move.ts';

function standing(view: StorageView): string {
  const { draining, moving, moves, stays } = view;
  if (draining || moving === null) return takes(view);
  const more = moves > 1 ? `, ${moves - 1} more` : '';
  return `${takes(view)}; ${stays ?? `moved: ${moving.sector} to ${moving.to} (${moving.step})`}${more}`;
}

function takes({ problem, readOnly, cordoned, draining, moving, stays, weight, roomBytes }: StorageView): string {
  if (problem !== null) return problem;
  if (readOnly) return 'read-only';
  if (draining) return stays ?? (moving === null ? 'drained' : `drained: ${moving.sector} to ${moving.to} (${moving.step})`);
  if (cordoned) return 'cordoned';
  return weight === 0 ? 'weight 0: nothing is put there' : roomBytes === 0 ? 'full' : 'takes sectors';
}

function storageTable({ items }: { readonly items: readonly StorageView[] }): string {
  if (items.length === 0) return 'no miner storage; give an own runner some with the key runner.storage (sealpool storage attach)';
  const shown = table(
    ['storage', 'runner', 'path', 'sectors', 'room', 'free', 'of', 'promised', 'weight', 'state'],
    items.map((one) => [
      one.id,
      one.runner,
      one.path,
      one.sectors,
      size(one.roomBytes),
      size(one.freeBytes),
      size(one.totalBytes),
      size(one.reservedBytes),
      one.weight,
      standing(one),
    ]),
  );
  return [shown, ...untold(items), ...buckets(items)].join('\n');
}

/** A line for each storage, which several runners may share, with sectors that may have nobody to prove them. */
function untold(items: readonly StorageView[]): string[] {
  const counts = new Map(items.map(({ id, undeclared }) => [id, undeclared]));
  return [...counts].flatMap(([id, count]) =>
    count === 0
      ? []
      : `warning: nobody who does Window PoSt was told of ${count} finished sectors in ${id}; set storage.declare, then type: sealpool storage declare ${id}`,
  );
}

/** Whoever proves from files has to see them as files. */
function buckets(items: readonly StorageView[]): string[] {
  const ids = new Set(items.filter(({ path }) => isBucket(path)).map(({ id }) => id));
  return [...ids].map(
    (id) =>
      `note: ${id} is a bucket, from which lotus-miner does no Window PoSt by itself; see Miner storage in docs/operating.md for who can`,
  );
}

const KNOWN = {
  yes: '; whoever does Window PoSt sees it',
  no: '\nwarning: nobody who does Window PoSt was told of it',
  under_way: '; it is being declared to whoever does Window PoSt',
  unknown: '',
} as const;

function movingText(moving: StoredSectorView['moving']): string {
  if (moving === null) return '';
  const { from, to, step, why } = moving;
  return `\nit is on its way from ${from} to ${to} (${step})${why === null ? '' : `, and waits: ${plain(why)}`}`;
}

function foundText({ sector, storage, root, files, checkedMs, damage, declared, moving }: StoredSectorView): string {
  const bad = new Map(damage.map(({ path, how }) => [path, how]));
  const rows = (files ?? []).map(({ path, sizeBytes, hash }) => [path, sizeBytes, bad.get(path) ?? hash]);
  const checked = checkedMs === null ? 'not read since they were stored' : `last read ${time(checkedMs)}, ${damage.length} bad`;
  const head = `${sector} is in storage ${storage} at ${plain(root)}; ${checked}${KNOWN[declared ?? 'unknown']}${movingText(moving)}`;
  return files === null
    ? `${head}\nits files were imported without their hashes`
    : `${head}\n${table(['file', 'bytes', 'hash, or what is wrong'], rows)}`;
}

const scrubText = ({ storage, sectors }: StorageAnswer): string =>
  `${sectors} sectors in storage ${storage} are read one after another; what is bad comes as an event (sealpool events --type storage.file_bad)`;

const declareText = ({ storage, sectors }: StorageAnswer): string =>
  `${sectors} sectors in storage ${storage} are declared to whoever does Window PoSt, and tried again until they are seen`;

const action = (name: 'cordon' | 'uncordon', about: string): Command => ({
  words: `storage ${name}`,
  takes: 'STORAGE',
  about,
  positionals: [1, 1],
  run: async ({ client, positionals, show }) => show(await client.storageAction(argument(positionals, 0), name), storageTable),
});

export const STORAGE_COMMANDS: readonly Command[] = [
  {
    words: 'storage list',
    takes: '',
    about: 'paths of miner storage: room, sectors, what stands against each',
    run: async ({ client, show }) => show(await client.storage(), storageTable),
  },
  ATTACH_STORAGE,
  {
    words: 'storage find',
    takes: 'SECTOR',
    about: "where a sector's files are (s-t01000-7), and how they were found when last read",
    positionals: [1, 1],
    run: async ({ client, positionals, show }) => show(await client.storedSector(argument(positionals, 0)), foundText),
  },
  action('cordon', 'put no new sectors there'),
  action('uncordon', 'let new sectors in again, and end a drain'),
  {
    words: 'storage drain',
    takes: 'STORAGE [--force]',
    about: 'move its sectors to other paths of its runner; --force: also where nobody is told that they are elsewhere',
    options: { force: { type: 'boolean' } },
    positionals: [1, 1],
    run: async ({ client, positionals, values, show }) =>
      show(await client.drainStorage(argument(positionals, 0), values['force'] === true), storageTable),
  },
  ...STORAGE_MOVE,
  {
    words: 'storage scrub',
    takes: 'STORAGE',
    about: 'read all files there against their hashes now, at the configured speed',
    positionals: [1, 1],
    run: async ({ client, positionals, show }) =>
      show(await sentOnce((idempotencyKey) => client.scrub(argument(positionals, 0), { idempotencyKey })), scrubText),
  },
  {
    words: 'storage declare',
    takes: 'STORAGE',
    about: 'tell whoever does Window PoSt of finished sectors there that nobody was told of, 500 at a time',
    positionals: [1, 1],
    run: async ({ client, positionals, show }) =>
      show(await sentOnce((idempotencyKey) => client.declareStored(argument(positionals, 0), { idempotencyKey })), declareText),
  },
];
