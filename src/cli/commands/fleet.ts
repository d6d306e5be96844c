/** `sealpool runners …`, `tokens …`, `pieces …`. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import type { JoinTokenView, PieceView, RunnerLog, RunnerView } from '../../api/client.ts';
import { type Command, type Session, UsageError, argument, needed, text, whole } from '../command.ts';
import { plain, table, time } from '../text.ts';
import { shown } from '../watch.ts';
import { minerOf } from './pledge.ts';
import { SHOW_RUNNER } from './runner-show.ts';
import { durationMs } from './settings.ts';

function runnerTable(runners: readonly RunnerView[]): string {
  if (runners.length === 0) return 'no runners; `sealpool runners token --trust own` makes a join token for one';
  return table(
    ['runner', 'name', 'trust', 'status', 'running', 'last seen', 'reason'],
    runners.map((r) => [r.id, r.name, r.trust, r.status, r.running.map(({ stage }) => stage).join(' '), time(r.lastSeenMs), r.reason]),
  );
}

/** Oldest first, so that the newest stands above the prompt. */
function runnerLogText(items: readonly RunnerLog[]): string {
  if (items.length === 0) return 'it has had no stage yet';
  const blocks = items.toReversed().map((item) => {
    const { attempt, sector, job, stage, epoch, status, grantedMs, endedMs, fraction, note, failure, logTail } = item;
    const ended = endedMs === null ? '' : ` to ${time(endedMs)}`;
    const how = [fraction === null ? '' : `${Math.round(fraction * 100)} %`, note ?? '', failure ?? ''].filter((part) => part !== '');
    const head = `== ${stage} of ${sector ?? job} (${attempt}, lease epoch ${epoch}): ${status}, ${time(grantedMs)}${ended}`;
    const lines = [head, ...(how.length === 0 ? [] : [how.join(', ')]), ...logTail.trimEnd().split('\n')];
    return lines
      .filter((line) => line !== '')
      .map(plain)
      .join('\n');
  });
  return blocks.join('\n\n');
}

async function joinToken({ client, values, show }: Session): Promise<void> {
  const trust = text(values, 'trust') ?? 'rented';
  if (trust !== 'own' && trust !== 'rented') throw new UsageError(`--trust is own or rented and not ${JSON.stringify(trust)}`);
  const ttlMs = durationMs(text(values, 'ttl') ?? '1h');
  const labels = text(values, 'labels')?.split(',') ?? [];
  show(
    await client.createJoinToken({ trust, labels, ttlMs }),
    ({ token, id, expiresMs }) => `${token}\n${id}, for one ${trust} runner, until ${time(expiresMs)} UTC; it is not shown again`,
  );
}

function joinTokenTable(tokens: readonly JoinTokenView[]): string {
  if (tokens.length === 0) return 'no join token is open';
  return table(
    ['join token', 'trust', 'labels', 'until'],
    tokens.map(({ id, trust, labels, expiresMs }) => [id, trust, labels.join(' '), time(expiresMs)]),
  );
}

const action = (name: 'drain' | 'cordon' | 'uncordon' | 'ban', about: string): Command => ({
  words: `runners ${name}`,
  takes: 'RUNNER',
  about,
  positionals: [1, 1],
  run: async ({ client, positionals, show }) =>
    show(await client.runnerAction(argument(positionals, 0), name), (runner) => runnerTable([runner])),
});

async function createToken({ client, values, show }: Session): Promise<void> {
  const role = text(values, 'role') ?? 'viewer';
  if (role !== 'viewer' && role !== 'operator' && role !== 'admin')
    throw new UsageError(`--role is viewer, operator or admin and not ${JSON.stringify(role)}`);
  const miners = text(values, 'miners')?.split(',').map(minerOf) ?? null;
  const ttl = text(values, 'ttl');
  show(
    await client.createToken({ name: needed(values, 'name'), role, miners, ...(ttl === undefined ? {} : { ttlMs: durationMs(ttl) }) }),
    ({ token, id, expiresMs }) =>
      `${token}\ntoken ${id} (${role}${expiresMs === null ? '' : `, until ${time(expiresMs)} UTC`}); it is not shown again`,
  );
}

async function rotateToken({ client, values, positionals, show }: Session): Promise<void> {
  const grace = text(values, 'grace');
  show(
    await client.rotateToken(argument(positionals, 0), grace === undefined ? {} : { graceMs: grace === '0' ? 0 : durationMs(grace) }),
    ({ token, id, previousUntilMs }) =>
      `${token}\nthe new secret of token ${id}, not shown again; the older one ${previousUntilMs === null ? 'has ended' : `is good until ${time(previousUntilMs)} UTC`}`,
  );
}

function pieceTable(pieces: readonly PieceView[]): string {
  return table(
    ['piece', 'miner', 'bytes', 'padded', 'hash', 'job'],
    pieces.map((p) => [p.id, p.miner, p.sizeBytes, p.paddedSizeBytes, p.hash, p.job]),
  );
}

async function addPiece({ client, values, positionals, show }: Session): Promise<void> {
  const path = argument(positionals, 0);
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(`${path} cannot be read (${error.code}); name a file that can`);
  });
  if (!found.isFile()) throw new UsageError(`${path} is no file; name one`);
  const body = Readable.toWeb(createReadStream(path)) as ReadableStream<Uint8Array>;
  show(await client.addPiece(minerOf(needed(values, 'miner')), body, found.size, values['reserved'] === true), (piece) =>
    pieceTable([piece]),
  );
}

export const RUNNER_COMMANDS: readonly Command[] = [
  {
    words: 'runners token',
    takes: '[--trust own|rented] [--labels A,B] [--ttl 1h]',
    about: 'a single-use join token; it ends after --ttl unless it is used',
    options: { trust: { type: 'string' }, labels: { type: 'string' }, ttl: { type: 'string' } },
    run: joinToken,
  },
  {
    words: 'runners tokens',
    takes: '',
    about: 'join tokens that nobody has used yet',
    run: async ({ client, show }) => show(await client.joinTokens(), ({ items }) => joinTokenTable(items)),
  },
  {
    words: 'runners revoke',
    takes: 'JOIN_TOKEN',
    about: 'end a join token before anybody uses it (its jt-… from `runners tokens`); to end a runner, ban it',
    positionals: [1, 1],
    run: async ({ client, positionals, show }) =>
      show(await client.revokeJoinToken(argument(positionals, 0)), ({ id }) => `join token ${id} is revoked`),
  },
  {
    words: 'runners list',
    takes: '[--watch]',
    about: 'registered runners',
    options: { watch: { type: 'boolean', short: 'w' } },
    run: (session) => shown(session, session.client.runners, ({ items }) => runnerTable(items)),
  },
  SHOW_RUNNER,
  action('drain', 'finish what runs, take nothing new'),
  action('cordon', 'grant nothing to it'),
  action('uncordon', 'lift a drain, a cordon or a quarantine'),
  action('ban', 'end its credential and take its stages away'),
  {
    words: 'runners logs',
    takes: 'RUNNER [--limit N]',
    about: 'what it did last, running and ended, each with the end of its log',
    options: { limit: { type: 'string' } },
    positionals: [1, 1],
    run: async ({ client, positionals, values, show }) =>
      show(await client.runnerLogs(argument(positionals, 0), whole(text(values, 'limit') ?? '20', '--limit', 1)), ({ items }) =>
        runnerLogText(items),
      ),
  },
];

export const TOKEN_COMMANDS: readonly Command[] = [
  {
    words: 'tokens create',
    takes: '--name N [--role viewer|operator|admin] [--miners M,M] [--ttl 30d]',
    about: 'an API token, shown once',
    options: { name: { type: 'string' }, role: { type: 'string' }, miners: { type: 'string' }, ttl: { type: 'string' } },
    run: createToken,
  },
  {
    words: 'tokens list',
    takes: '',
    about: 'API tokens',
    run: async ({ client, show }) =>
      show(await client.tokens(), ({ items }) =>
        table(
          ['token', 'name', 'role', 'miners', 'created', 'expires', 'revoked'],
          items.map((t) => [
            t.id,
            t.name,
            t.role,
            t.miners?.join(' ') ?? 'all',
            time(t.createdMs),
            t.expiresMs === null ? null : time(t.expiresMs),
            t.revokedMs === null ? null : time(t.revokedMs),
          ]),
        ),
      ),
  },
  {
    words: 'tokens rotate',
    takes: 'TOKEN [--grace 1h]',
    about: 'a new secret for an API token, shown once; the older one goes on for a day, or --grace (0: it ends at once)',
    options: { grace: { type: 'string' } },
    positionals: [1, 1],
    run: rotateToken,
  },
  {
    words: 'tokens revoke',
    takes: 'TOKEN',
    about: 'end an API token',
    positionals: [1, 1],
    run: async ({ client, positionals, show }) =>
      show(await client.revokeToken(argument(positionals, 0)), ({ id }) => `token ${id} is revoked`),
  },
];

export const PIECE_COMMANDS: readonly Command[] = [
  {
    words: 'pieces add',
    takes: 'FILE --miner M [--reserved]',
    about: 'upload a file for the next sector, or reserved for a request that names it',
    options: { miner: { type: 'string' }, reserved: { type: 'boolean' } },
    positionals: [1, 1],
    run: addPiece,
  },
  {
    words: 'pieces list',
    takes: '--miner M [--reserved]',
    about: 'pieces no sector took yet, or the reserved ones',
    options: { miner: { type: 'string' }, reserved: { type: 'boolean' } },
    run: async ({ client, values, show }) =>
      show(await client.pieces(minerOf(needed(values, 'miner')), values['reserved'] === true), ({ items }) => pieceTable(items)),
  },
];
