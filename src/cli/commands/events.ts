/** `sealpool events`: what happened, and with --watch what happens. */
import type { Event } from '../../api/client.ts';
import { EventType } from '../../schema/event.ts';
import { type Command, type Session, UsageError, text, whole } from '../command.ts';
import { eventLine } from '../sector-text.ts';
import { toldOnBreak, untilInterrupted } from '../watch.ts';
import { minerOf } from './pledge.ts';

/** Events of one request. */
const PAGE = 500;

function typesOf(typed: string | undefined): EventType[] | undefined {
  return typed?.split(',').map((name) => {
    const type = EventType.safeParse(name);
    if (!type.success) throw new UsageError(`there is no event type ${JSON.stringify(name)}; types are ${EventType.options.join(', ')}`);
    return type.data;
  });
}

/** One line: what it is about, and what happened to it. */
export function eventText(event: Event): string {
  const about = event.job ?? event.runner ?? event.miner ?? 'control plane';
  return `${event.seq}  ${about}  ${eventLine(event)}`;
}

async function events(session: Session): Promise<void> {
  const { client, values, json, line } = session;
  const miner = text(values, 'miner');
  const filter = {
    type: typesOf(text(values, 'type')),
    sector: text(values, 'sector'),
    miner: miner === undefined ? undefined : minerOf(miner),
    runner: text(values, 'runner'),
  };
  const print = (event: Event): void => line(json ? JSON.stringify(event) : eventText(event));
  const given = text(values, 'after');
  if (values['watch'] === true) {
    const after = given === undefined ? 'now' : whole(given, '--after');
    return untilInterrupted(async (signal) => {
      for await (const event of client.follow({ ...filter, after, signal, ...toldOnBreak(session) })) print(event);
    });
  }
  for (let after = given === undefined ? 0 : whole(given, '--after'); ;) {
    const page = await client.events(after, PAGE, filter);
    page.items.forEach(print);
    if (page.items.length < PAGE) return;
    after = page.after;
  }
}

export const EVENT_COMMANDS: readonly Command[] = [
  {
    words: 'events',
    takes: '[--type T,T] [--sector S] [--miner M] [--runner R] [--after N] [--watch]',
    about: 'what happened, oldest first; --watch: what happens from now on, or from N on',
    options: {
      type: { type: 'string' },
      sector: { type: 'string' },
      miner: { type: 'string' },
      runner: { type: 'string' },
      after: { type: 'string' },
      watch: { type: 'boolean', short: 'w' },
    },
    run: events,
  },
];
