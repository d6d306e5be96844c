/** `sealpool sectors …` */
import type { ActedView, SectorPage, SectorView } from '../../api/client.ts';
import { type Command, EndedAborted, Interrupted, type Session, UsageError, argument, text, whole } from '../command.ts';
import { explanationText } from '../explanation-text.ts';
import { eventLine, sectorDetailText, sectorTable } from '../sector-text.ts';
import { plain } from '../text.ts';
import { shown, toldOnBreak, untilInterrupted } from '../watch.ts';
import { minerOf } from './pledge.ts';

const REF = 'SECTOR (s-t01000-7 or j-…)';

const EXPLAIN: Omit<Command, 'words'> = {
  takes: REF,
  about: 'why it waits, which runner its stage would go to, and what each would cost',
  positionals: [1, 1],
  run: async ({ client, positionals, show }) => show(await client.explain(argument(positionals, 0)), explanationText),
};

async function list(session: Session): Promise<void> {
  const { client, values } = session;
  const paused = values['paused'] === true ? true : undefined;
  const miner = text(values, 'miner');
  const filter = {
    state: text(values, 'state'),
    plan: text(values, 'plan'),
    miner: miner === undefined ? undefined : minerOf(miner),
    paused,
    error: text(values, 'error'),
    cursor: text(values, 'cursor'),
  };
  const limit = text(values, 'limit');
  const ask = () => client.sectors({ ...filter, limit: limit === undefined ? undefined : whole(limit, '--limit', 1) });
  const drawn = ({ items, cursor }: SectorPage): string => sectorTable(items) + (cursor === null ? '' : `\nmore with --cursor ${cursor}`);
  await shown(session, ask, drawn, { miner: filter.miner });
}

async function show_(session: Session): Promise<void> {
  const { client, values, positionals, show } = session;
  const detail = await client.sector(argument(positionals, 0));
  show(detail, sectorDetailText);
  if (values['watch'] === true) await watch(session, detail.job.id, detail.events.at(-1)?.seq ?? 0);
}

/**
 * Prints events of the job as they happen until it has ended. Interrupted before that, it has not done what it was asked;
 * a job that was given up is an end that scripts have to see.
 */
async function watch(session: Session, job: string, after: number): Promise<void> {
  const { client, line, json } = session;
  const isEnd = (state: string | null): boolean => {
    if (state === 'Aborted') throw new EndedAborted(job);
    return state === 'Finished';
  };
  if (isEnd((await client.sector(job)).job.state)) return;
  await untilInterrupted(async (signal) => {
    for await (const event of client.follow({ sector: job, after, signal, ...toldOnBreak(session) })) {
      line(json ? JSON.stringify(event) : eventLine(event));
      if (isEnd(event.to)) return;
    }
    throw new Interrupted();
  });
}

const done = (session: Session, job: SectorView): void => session.show(job, (shown) => sectorTable([shown]));
/** The job after it went on or was given up, and below it what could not be called back. */
export const acted = (session: Session, job: ActedView): void =>
  session.show(job, (shown) => sectorTable([shown]) + (shown.notice === null ? '' : `\n${plain(shown.notice)}`));

export const SECTOR_COMMANDS: readonly Command[] = [
  {
    words: 'sectors list',
    takes: '[--state S] [--plan P] [--miner M] [--paused] [--error CODE] [--limit N] [--cursor C] [--watch]',
    about: 'sector jobs, newest first',
    options: {
      state: { type: 'string', short: 's' },
      plan: { type: 'string' },
      miner: { type: 'string' },
      paused: { type: 'boolean' },
      error: { type: 'string' },
      limit: { type: 'string' },
      cursor: { type: 'string' },
      watch: { type: 'boolean', short: 'w' },
    },
    run: list,
  },
  {
    words: 'sectors show',
    takes: `${REF} [--watch]`,
    about: 'one sector with its history; --watch goes on until it has ended, with exit code 7 where that is Aborted',
    options: { watch: { type: 'boolean', short: 'w' } },
    positionals: [1, 1],
    run: show_,
  },
  {
    words: 'sectors pause',
    takes: `${REF} [--now]`,
    about: 'pause it in its state; --now stops a running stage',
    options: { now: { type: 'boolean' } },
    positionals: [1, 1],
    run: async (session) =>
      done(session, await session.client.pause(argument(session.positionals, 0), { now: session.values['now'] === true })),
  },
  {
    words: 'sectors resume',
    takes: `${REF} [--state S] [--force]`,
    about: 'go on, from this state or from S',
    options: { state: { type: 'string', short: 's' }, force: { type: 'boolean' } },
    positionals: [1, 1],
    run: async (session) => {
      const state = text(session.values, 'state');
      if (state === '') throw new UsageError('--state is empty; name a state, or leave it out');
      acted(
        session,
        await session.client.resume(argument(session.positionals, 0), {
          ...(state === undefined ? {} : { state }),
          force: session.values['force'] === true,
        }),
      );
    },
  },
  {
    words: 'sectors abort',
    takes: `${REF} [--force]`,
    about: 'give it up',
    options: { force: { type: 'boolean' } },
    positionals: [1, 1],
    run: async (session) =>
      acted(session, await session.client.abort(argument(session.positionals, 0), { force: session.values['force'] === true })),
  },
  {
    words: 'sectors explain',
    ...EXPLAIN,
  },
  {
    words: 'explain',
    ...EXPLAIN,
  },
];
