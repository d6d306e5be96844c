/** `sealpool storage move` and `moves`: files of single sectors go to another path. */
import type { MoveView } from '../../api/client.ts';
import { type Command, UsageError, needed } from '../command.ts';
import { sentOnce } from '../once.ts';
import { plain, size, table, time } from '../text.ts';

const standing = ({ step, why, sinceMs }: MoveView): string =>
  why !== null ? `goes on by itself, it waits: ${plain(why)}` : step === 'copy' && sinceMs === null ? 'waits for its turn' : '';

function movesTable({ items }: { readonly items: readonly MoveView[] }): string {
  if (items.length === 0) return 'no sector is on its way from one storage to another';
  return table(
    ['sector', 'from', 'to', 'size', 'step', 'since', 'why', 'state'],
    items.map((one) => [
      one.sector,
      one.from,
      one.to,
      size(one.sizeBytes),
      one.step,
      one.sinceMs === null ? '-' : time(one.sinceMs),
      one.cause === 'drain' ? 'drained' : 'asked for',
      standing(one),
    ]),
  );
}

const stoppedText = ({ items }: { readonly items: readonly MoveView[] }): string =>
  items.length === 0
    ? 'none of them was on its way'
    : items.map(({ sector, from, to }) => `${sector} stays in ${from}; what was copied to ${to} is removed`).join('\n');

export const STORAGE_MOVE: readonly Command[] = [
  {
    words: 'storage move',
    takes: 'SECTOR… (--to STORAGE [--force] | --stop)',
    about: 'move files of sectors to another path of their runner, or stop that; --force: also where nobody is told of it',
    options: { to: { type: 'string' }, force: { type: 'boolean' }, stop: { type: 'boolean' } },
    positionals: [1, 200],
    run: async ({ client, positionals, values, show }) => {
      if (values['stop'] === true) {
        if (values['to'] !== undefined) throw new UsageError('--to and --stop say opposite things; give one of them');
        return show(await client.stopMoves(positionals), stoppedText);
      }
      const body = { sectors: positionals, to: needed(values, 'to'), ...(values['force'] === true ? { force: true } : {}) };
      show(await sentOnce((idempotencyKey) => client.moveStored(body, { idempotencyKey })), movesTable);
    },
  },
  {
    words: 'storage moves',
    takes: '',
    about: 'sectors whose files are on their way from one path to another',
    run: async ({ client, show }) => show(await client.storageMoves(), movesTable),
  },
];
