/** `sealpool worker …` and `sealpool util worker …`: the commands that users of damocles type. */
import type { Client, WorkerView } from '../../api/client.ts';
import { type Command, type Session, UsageError, argument, needed, text, whole } from '../command.ts';
import { sectorTable } from '../sector-text.ts';
import { table } from '../text.ts';

function threadTable(workers: readonly WorkerView[]): string {
  const rows = workers.flatMap(({ worker, threads }) =>
    threads.map((t) => [worker, t.index, t.plan, t.sector, t.job, t.state, t.paused ? 'yes' : '', t.error]),
  );
  return table(['worker', 'index', 'plan', 'sector', 'job', 'state', 'paused', 'error'], rows);
}

/** The worker named with --worker, else the only one there is. */
async function workerOf(client: Client, named: string | undefined): Promise<string> {
  if (named !== undefined) return named;
  const { items } = await client.workers();
  const [only] = items;
  if (items.length === 1 && only !== undefined) return only.worker;
  throw new UsageError(`there is more than one worker (${items.map(({ worker }) => worker).join(', ')}); say which with --worker`);
}

const list = async ({ client, show }: Session): Promise<void> => show(await client.workers(), ({ items }) => threadTable(items));
const index = { index: { type: 'string', short: 'i' }, worker: { type: 'string' } } as const;

async function pause(session: Session, worker: string, at: string): Promise<void> {
  session.show(await session.client.pauseThread(worker, whole(at, 'the index')), (job) => sectorTable([job]));
}

async function resume(session: Session, worker: string, at: string, state: string | undefined): Promise<void> {
  session.show(await session.client.resumeThread(worker, whole(at, 'the index'), state === undefined ? {} : { state }), (job) =>
    sectorTable([job]),
  );
}

export const WORKER_COMMANDS: readonly Command[] = [
  { words: 'worker list', takes: '', about: 'sealing_threads and their sectors', run: list },
  {
    words: 'worker pause',
    takes: '--index I [--worker NAME]',
    about: "pause a thread's sector",
    options: index,
    run: async (session) => pause(session, await workerOf(session.client, text(session.values, 'worker')), needed(session.values, 'index')),
  },
  {
    words: 'worker resume',
    takes: '--index I [--state S] [--worker NAME]',
    about: "go on with a thread's sector",
    options: { ...index, state: { type: 'string', short: 's' } },
    run: async (session) =>
      resume(
        session,
        await workerOf(session.client, text(session.values, 'worker')),
        needed(session.values, 'index'),
        text(session.values, 'state'),
      ),
  },
  { words: 'util worker list', takes: '', about: 'workers', run: list },
  {
    words: 'util worker info',
    takes: 'W',
    about: 'one worker',
    positionals: [1, 1],
    run: async ({ client, positionals, show }) => show(await client.worker(argument(positionals, 0)), (worker) => threadTable([worker])),
  },
  {
    words: 'util worker pause',
    takes: 'W I',
    about: 'pause the sector of thread I',
    positionals: [2, 2],
    run: async (session) => pause(session, argument(session.positionals, 0), argument(session.positionals, 1)),
  },
  {
    words: 'util worker resume',
    takes: 'W I [STATE]',
    about: 'go on with the sector of thread I',
    positionals: [2, 3],
    run: async (session) => resume(session, argument(session.positionals, 0), argument(session.positionals, 1), session.positionals[2]),
  },
];
