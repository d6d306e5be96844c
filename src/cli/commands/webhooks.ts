/** `sealpool webhooks …` */
import { setTimeout as wait } from 'node:timers/promises';
import type { DeliveryView, NewWebhook, WebhookPatch, WebhookView } from '../../api/client.ts';
import { type Command, type Session, UsageError, argument, text, whole } from '../command.ts';
import { table, time } from '../text.ts';
import { minerOf } from './pledge.ts';

/** A test is answered within a receiver's limit of time, or waits behind others. */
const TEST_WAIT_MS = 30_000;
const TEST_ASK_MS = 200;

function webhookTable(webhooks: readonly WebhookView[]): string {
  if (webhooks.length === 0) return 'no webhooks; `sealpool webhooks create https://…` makes one';
  return table(
    ['webhook', 'url', 'types', 'miners', 'private', 'status', 'version', 'failing since', 'reason'],
    webhooks.map((w) => [
      w.id,
      w.url,
      w.types?.join(' ') ?? 'all',
      w.miners?.join(' ') ?? 'all',
      w.allowPrivate ? 'yes' : 'no',
      w.status,
      w.version,
      w.failingSinceMs === null ? null : time(w.failingSinceMs),
      w.reason,
    ]),
  );
}

function deliveryTable(deliveries: readonly DeliveryView[]): string {
  if (deliveries.length === 0) return 'no deliveries';
  return table(
    ['delivery', 'webhook-id', 'type', 'status', 'tries', 'answer', 'next or end', 'error'],
    deliveries.map((d) => [d.id, d.message, d.type, d.status, d.tries, d.lastStatus, time(d.endedMs ?? d.dueMs), d.lastError]),
  );
}

const secretText = ({ secret, id }: NewWebhook): string => `${secret}\nsigns what is sent to webhook ${id}; it is not shown again`;

/** A list with commas between, `all` for null; undefined when the option is left out. */
function list(value: string | undefined): string[] | null | undefined {
  if (value === undefined) return undefined;
  return value === 'all' ? null : value.split(',');
}

/** What the options name. */
function named({ values }: Session): WebhookPatch {
  const allow = values['allow-private'] === true;
  if (allow && values['public-only'] === true) throw new UsageError('--allow-private and --public-only exclude each other; leave one out');
  const private_ = allow ? true : values['public-only'] === true ? false : undefined;
  const miners = list(text(values, 'miners'));
  const given = {
    // --url is where the control plane is.
    url: text(values, 'to'),
    description: text(values, 'description'),
    types: list(text(values, 'types')),
    miners: miners?.map(minerOf) ?? miners,
    allowPrivate: private_,
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as WebhookPatch;
}

async function update(session: Session): Promise<void> {
  const { client, positionals, values, show } = session;
  const patch = named(session);
  if (Object.keys(patch).length === 0) throw new UsageError('nothing is to be changed; name it, for example --to URL');
  const version = text(values, 'version');
  const changed = await client.updateWebhook(
    argument(positionals, 0),
    patch,
    version === undefined ? undefined : whole(version, '--version', 1),
  );
  show(changed, (webhook) => webhookTable([webhook]));
}

/** Sends a test and waits for what comes of it. */
async function test({ client, positionals, show }: Session): Promise<void> {
  const id = argument(positionals, 0);
  let delivery = await client.testWebhook(id);
  for (let waitedMs = 0; delivery.status === 'open' && waitedMs < TEST_WAIT_MS; waitedMs += TEST_ASK_MS) {
    await wait(TEST_ASK_MS);
    const { items } = await client.deliveries(id, { limit: 500 });
    delivery = items.find((item) => item.id === delivery.id) ?? delivery;
  }
  show(delivery, (d) => deliveryTable([d]));
}

async function log({ client, positionals, values, show }: Session): Promise<void> {
  const limit = text(values, 'limit');
  const query = { cursor: text(values, 'cursor'), limit: limit === undefined ? undefined : whole(limit, '--limit', 1) };
  show(await client.deliveries(argument(positionals, 0), query), ({ items, cursor }) =>
    cursor === null ? deliveryTable(items) : `${deliveryTable(items)}\nmore with --cursor ${cursor}`,
  );
}

const CHOICE = {
  types: { type: 'string' },
  miners: { type: 'string' },
  description: { type: 'string' },
  'allow-private': { type: 'boolean' },
} as const;

/** A command on one webhook that shows it. */
const one = (word: string, about: string, run: (session: Session, id: string) => Promise<WebhookView>): Command => ({
  words: `webhooks ${word}`,
  takes: 'WEBHOOK',
  about,
  positionals: [1, 1],
  run: async (session) => session.show(await run(session, argument(session.positionals, 0)), (webhook) => webhookTable([webhook])),
});

export const WEBHOOK_COMMANDS: readonly Command[] = [
  {
    words: 'webhooks create',
    takes: 'URL [--types T,T] [--miners M,M] [--description D] [--allow-private]',
    about: 'have events posted to a URL; the secret is shown once',
    options: CHOICE,
    positionals: [1, 1],
    run: async (session) => {
      const url = argument(session.positionals, 0);
      session.show(await session.client.createWebhook({ ...named(session), url }), secretText);
    },
  },
  {
    words: 'webhooks list',
    takes: '',
    about: 'webhooks and how they fare',
    run: async ({ client, show }) => show(await client.webhooks(), ({ items }) => webhookTable(items)),
  },
  one('show', 'one webhook', ({ client }, id) => client.webhook(id)),
  {
    words: 'webhooks update',
    takes: 'WEBHOOK [--to URL] [--types T,T|all] [--miners M,M|all] [--description D] [--allow-private|--public-only] [--version N]',
    about: 'change what is named; with --version only if it is that one still',
    options: { ...CHOICE, to: { type: 'string' }, 'public-only': { type: 'boolean' }, version: { type: 'string' } },
    positionals: [1, 1],
    run: update,
  },
  {
    words: 'webhooks delete',
    takes: 'WEBHOOK',
    about: 'delete it with its log',
    positionals: [1, 1],
    run: async ({ client, positionals, show }) =>
      show(await client.deleteWebhook(argument(positionals, 0)), ({ id }) => `webhook ${id} is deleted`),
  },
  { words: 'webhooks test', takes: 'WEBHOOK', about: 'send a test and tell what came of it', positionals: [1, 1], run: test },
  {
    words: 'webhooks rotate',
    takes: 'WEBHOOK',
    about: 'sign with a fresh secret, shown once',
    positionals: [1, 1],
    run: async ({ client, positionals, show }) => show(await client.rotateWebhook(argument(positionals, 0)), secretText),
  },
  one('enable', 'let it go on where it stopped', ({ client }, id) => client.switchWebhook(id, true)),
  one('disable', 'send nothing until it is enabled', ({ client }, id) => client.switchWebhook(id, false)),
  {
    words: 'webhooks log',
    takes: 'WEBHOOK [--limit N] [--cursor C]',
    about: 'what was sent and what came of it, newest first',
    options: { limit: { type: 'string' }, cursor: { type: 'string' } },
    positionals: [1, 1],
    run: log,
  },
  {
    words: 'webhooks redeliver',
    takes: 'WEBHOOK DELIVERY',
    about: 'send it again now',
    positionals: [2, 2],
    run: async ({ client, positionals, show }) =>
      show(await client.redeliver(argument(positionals, 0), argument(positionals, 1)), (d) => deliveryTable([d])),
  },
];
