/** `sealpool util …`: what users of damocles' manager type, word for word. */
import type { SectorView } from '../../api/client.ts';
import { type Command, type Session, UsageError, argument, whole } from '../command.ts';
import { sectorDetailText, sectorTable } from '../sector-text.ts';
import { workerInfo, workerList } from '../thread-text.ts';
import { sentOnce } from '../once.ts';
import { minerOf } from './pledge.ts';
import { acted } from './sectors.ts';
import { pauseThread, resumeThread } from './workers.ts';

const W = 'WORKER (its name, or the address it was reached at)';
const SECTOR = 'MINER NUMBER';

/** `1000 7`, `t01000 7` or `f01000 7` as a sector's name. */
function sectorNamed({ positionals }: Session): string {
  return `s-${minerOf(argument(positionals, 0))}-${whole(argument(positionals, 1), 'the sector number')}`;
}

const at = (session: Session): [string, number] => [
  argument(session.positionals, 0),
  whole(argument(session.positionals, 1), 'the thread index'),
];

const PLAN_FLAGS = [
  ['sealing', 'sealer', true],
  ['snapup', 'snapup', false],
  ['rebuild', 'rebuild', false],
  ['unseal', 'unseal', false],
] as const;

/** Jobs of the plans asked for: those that go on, or with --offline those that have ended. */
async function listSectors({ client, values, show }: Session): Promise<void> {
  const offline = values['offline'] === true;
  const miner = typeof values['miner'] === 'string' ? minerOf(values['miner']) : undefined;
  const items: SectorView[] = [];
  for (const [flag, plan, usual] of PLAN_FLAGS) {
    if (!((values[flag] as boolean | undefined) ?? usual)) continue;
    let cursor: string | null = '';
    while (cursor !== null) {
      const page: Awaited<ReturnType<typeof client.sectors>> = await client.sectors({
        plan,
        miner,
        limit: 500,
        cursor: cursor || undefined,
      });
      items.push(...page.items.filter(({ state }) => (state === 'Finished' || state === 'Aborted') === offline));
      cursor = page.cursor;
    }
  }
  show({ items }, (shown) => `${sectorTable(shown.items)}\nCount: ${shown.items.length}`);
}

async function abortSector(session: Session): Promise<void> {
  if (session.values['really-do-it'] !== true)
    throw new UsageError('nothing was done: pass --really-do-it to give the sector up (and --force where its pre-commit is out)');
  acted(session, await session.client.abort(sectorNamed(session), { force: session.values['force'] === true }));
}

export const DAMOCLES_COMMANDS: readonly Command[] = [
  {
    words: 'util worker list',
    takes: '[--expiration D]',
    about: 'workers, with what their threads do',
    // Read over: threads live in the control plane, so none is ever missing.
    options: { expiration: { type: 'string' } },
    run: async ({ client, show }) => show(await client.workers(), ({ items }) => workerList(items)),
  },
  {
    words: 'util worker info',
    takes: W,
    about: 'the threads of one worker',
    positionals: [1, 1],
    run: async ({ client, positionals, show }) => show(await client.worker(argument(positionals, 0)), workerInfo),
  },
  {
    words: 'util worker pause',
    takes: `${W} INDEX [--now]`,
    about: "pause a thread's sector in its state",
    options: { now: { type: 'boolean' } },
    positionals: [2, 2],
    run: (session) => pauseThread(session, ...at(session)),
  },
  {
    words: 'util worker resume',
    takes: `${W} INDEX [STATE] [--force]`,
    about: "go on with a thread's sector, from its state or from STATE",
    options: { force: { type: 'boolean' } },
    positionals: [2, 3],
    run: (session) => resumeThread(session, ...at(session), session.positionals[2]),
  },
  {
    words: 'util sealer sectors list',
    takes: '[--sealing=false] [--snapup] [--rebuild] [--unseal] [--offline] [--miner M]',
    about: 'sectors of these plans that are worked on; --offline: that have ended',
    options: {
      ...Object.fromEntries(PLAN_FLAGS.map(([flag]) => [flag, { type: 'boolean' as const }])),
      offline: { type: 'boolean' },
      miner: { type: 'string' },
    },
    run: listSectors,
  },
  {
    words: 'util sealer sectors state',
    takes: SECTOR,
    about: 'one sector with its history',
    // Read over, as damocles does: there is one database.
    options: { offline: { type: 'boolean' } },
    positionals: [2, 2],
    run: async (session) => session.show(await session.client.sector(sectorNamed(session)), sectorDetailText),
  },
  {
    words: 'util sealer sectors abort',
    takes: `${SECTOR} --really-do-it [--force]`,
    about: 'give a sector up',
    options: { 'really-do-it': { type: 'boolean' }, force: { type: 'boolean' } },
    positionals: [2, 2],
    run: abortSector,
  },
  {
    words: 'util sealer sectors rebuild',
    takes: SECTOR,
    about: "make a lost sector's files again",
    positionals: [2, 2],
    run: async (session) => {
      const [miner, sector] = [minerOf(argument(session.positionals, 0)), whole(argument(session.positionals, 1), 'the sector number')];
      session.show(
        await sentOnce((idempotencyKey) => session.client.pledge({ plan: 'rebuild', miner, sector }, { idempotencyKey })),
        ({ items }) => sectorTable(items),
      );
    },
  },
];
