/** `sealpool worker …`: the commands that users of damocles' worker type, and the switches and limits of threads. */
import type { Client, WorkerView } from '../../api/client.ts';
import { type Command, type Session, UsageError, needed, text, whole } from '../command.ts';
import { sectorTable } from '../sector-text.ts';
import { threadList } from '../thread-text.ts';
import { shown } from '../watch.ts';
import { acted } from './sectors.ts';

/** Where damocles' worker is asked unless it is told another address. */
const USUAL_ADDRESS = '127.0.0.1:17890';

/** `-H` is damocles' way to name a worker: by its address. */
export const WORKER_OPTION = { worker: { type: 'string' }, host: { type: 'string', short: 'H' } } as const;
const THREAD_OPTIONS = { ...WORKER_OPTION, index: { type: 'string', short: 'i' } } as const;
const AT = '--index I [--worker NAME]';

/** The worker that was named: with --worker, in the configuration of damocles' worker, or by its address. */
function named({ values, worker }: Session): string | undefined {
  return text(values, 'worker') ?? worker ?? text(values, 'host');
}

/** The worker named, else the only one there is, else the one at damocles' usual address. */
export async function workerOf(session: Session): Promise<string> {
  const given = named(session);
  if (given !== undefined) return given;
  const { items } = await session.client.workers();
  const [only] = items;
  if (items.length === 1 && only !== undefined) return only.worker;
  const usual = items.find(({ address }) => address === USUAL_ADDRESS || `${address}:17890` === USUAL_ADDRESS);
  if (usual !== undefined) return usual.worker;
  if (items.length === 0)
    throw new UsageError('there is no worker; name one in the configuration (workers) and start the control plane again');
  throw new UsageError(`there is more than one worker (${items.map(({ worker }) => worker).join(', ')}); say which with --worker`);
}

async function list(session: Session): Promise<void> {
  const given = named(session);
  const ask = async (): Promise<{ items: WorkerView[] }> =>
    given === undefined ? session.client.workers() : { items: [await session.client.worker(given)] };
  await shown(session, ask, ({ items }) => threadList(items));
}

/** The thread that the options name. */
async function threadAt(session: Session): Promise<[worker: string, index: number]> {
  const index = whole(needed(session.values, 'index'), '--index');
  return [await workerOf(session), index];
}

/** Pauses the job of a thread. */
export async function pauseThread(session: Session, worker: string, index: number): Promise<void> {
  const now = session.values['now'] === true;
  session.show(await session.client.pauseThread(worker, index, now ? { now } : {}), (job) => sectorTable([job]));
}

/** Goes on with the job of a thread; `state`: from there. */
export async function resumeThread(session: Session, worker: string, index: number, state: string | undefined): Promise<void> {
  if (state === '') throw new UsageError('the state is empty; name one, or leave it out');
  const body: Parameters<Client['resumeThread']>[2] = {
    ...(state === undefined ? {} : { state }),
    ...(session.values['force'] === true ? { force: true } : {}),
  };
  acted(session, await session.client.resumeThread(worker, index, body));
}

const switched = (word: 'enable' | 'disable', about: string): Command => ({
  words: `worker ${word}`,
  takes: AT,
  about,
  options: THREAD_OPTIONS,
  run: async (session) => {
    const [worker, index] = await threadAt(session);
    const thread = await session.client.switchThread(worker, index, word === 'enable');
    session.show(thread, (shown) => threadList([{ worker, address: null, threads: [shown] }]));
  },
});

export const WORKER_COMMANDS: readonly Command[] = [
  {
    words: 'worker list',
    takes: '[--worker NAME] [--watch]',
    about: 'sealing_threads and their sectors',
    options: { ...WORKER_OPTION, watch: { type: 'boolean', short: 'w' } },
    run: list,
  },
  {
    words: 'worker pause',
    takes: `${AT} [--now]`,
    about: "pause a thread's sector in its state; --now stops a running stage",
    options: { ...THREAD_OPTIONS, now: { type: 'boolean' } },
    run: async (session) => pauseThread(session, ...(await threadAt(session))),
  },
  {
    words: 'worker resume',
    takes: `[--state S] ${AT} [--force]`,
    about: "go on with a thread's sector, from its state or from S",
    options: { ...THREAD_OPTIONS, state: { type: 'string', short: 's' }, force: { type: 'boolean' } },
    run: async (session) => resumeThread(session, ...(await threadAt(session)), text(session.values, 'state')),
  },
  {
    words: 'worker abort',
    takes: `${AT} [--force]`,
    about: "give a thread's sector up; the thread goes on to the next",
    options: { ...THREAD_OPTIONS, force: { type: 'boolean' } },
    run: async (session) => {
      const [worker, index] = await threadAt(session);
      acted(session, await session.client.abortThread(worker, index, { force: session.values['force'] === true }));
    },
  },
  switched('enable', 'let a thread take sectors'),
  switched('disable', 'let a thread finish its sector and take no other'),
];
