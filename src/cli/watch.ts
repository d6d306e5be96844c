/**
 * `--watch`: an answer again whenever something happens. On a terminal it is drawn in place; elsewhere the lines that
 * are new or changed are printed, with --json each answer on one line. It ends with SIGINT or SIGTERM.
 */
import type { FollowOptions } from '../api/client.ts';
import type { Session } from './command.ts';

/** After so many connections in a row that bring nothing, the control plane is called unreachable: about a minute and a half. */
export const WATCH_TRIES = 10;

/** Aborts with SIGINT or SIGTERM, as long as `work` goes on; the process itself stays. */
export async function untilInterrupted<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stop = new AbortController();
  const end = (): void => stop.abort();
  process.once('SIGINT', end).once('SIGTERM', end);
  try {
    return await work(stop.signal);
  } finally {
    process.off('SIGINT', end).off('SIGTERM', end);
  }
}

/** What a broken connection is worth to a person. */
export const toldOnBreak = ({ note }: Session): Pick<FollowOptions, 'tries' | 'onBreak'> => ({
  tries: WATCH_TRIES,
  onBreak: (why, waitMs) => note(`the connection broke (${why.message}); trying again in ${(waitMs / 1000).toFixed(1)} s`),
});

/** Shows an answer once, or with --watch for as long as nobody interrupts it. */
export async function shown<T>(
  session: Session,
  ask: () => Promise<T>,
  text: (answer: T) => string,
  about: Pick<FollowOptions, 'miner'> = {},
): Promise<void> {
  const { client, values, json, line, show, redraw } = session;
  if (values['watch'] !== true) return show(await ask(), text);
  await untilInterrupted(async (interrupted) => {
    // The place in the history comes first: what happens after it makes another turn.
    const { after } = await client.events('now', 1);
    let printed: ReadonlySet<string> = new Set();
    const draw = async (): Promise<void> => {
      const answer = await ask();
      const lines = json ? [JSON.stringify(answer)] : text(answer).split('\n');
      if (!json && redraw !== undefined) redraw(lines.join('\n'));
      else for (const each of lines) if (!printed.has(each)) line(each);
      printed = new Set(lines);
    };
    await draw();
    const broken = new AbortController();
    const signal = AbortSignal.any([interrupted, broken.signal]);
    const drawing = inTurns(draw, (error) => broken.abort(error));
    for await (const _event of client.follow({ ...about, after, signal, ...toldOnBreak(session) })) drawing.due();
    await drawing.rest();
    if (broken.signal.aborted) throw broken.signal.reason;
  });
}

/** Draws when it is due; what falls due while it draws shares the next drawing. */
function inTurns(draw: () => Promise<void>, onError: (error: unknown) => void) {
  let due = false;
  let turn: Promise<void> | undefined;
  const draws = async (): Promise<void> => {
    while (due) {
      due = false;
      await draw();
    }
  };
  return {
    due: (): void => {
      due = true;
      turn ??= draws()
        .catch(onError)
        .finally(() => void (turn = undefined));
    },
    rest: async (): Promise<void> => turn,
  };
}
