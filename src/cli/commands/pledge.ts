/** `sealpool sectors pledge`, and the short forms for sectors that exist: `snap`, `rebuild`, `unseal`. */
import type { Client } from '../../api/client.ts';
import { type MinerId, type PieceId, SectorName } from '../../schema/ids.ts';
import { type Command, type Session, UsageError, type Values, text, whole } from '../command.ts';
import { sentOnce } from '../once.ts';
import { sectorTable } from '../sector-text.ts';

type Request = Parameters<Client['pledge']>[0];

const EXISTING = 'SECTOR (s-t01000-7, or 7 --miner t01000)';
const existing = { miner: { type: 'string' }, 'skip-onchain-check': { type: 'boolean' } } as const;

/** A sector as typed: `s-t01000-7` has its miner in it, `7` needs --miner. */
export function sectorOf(typed: string, values: Values): Pick<Request, 'sector' | 'miner'> {
  const miner = text(values, 'miner');
  const named = miner === undefined ? {} : { miner: minerOf(miner) };
  const name = SectorName.safeParse(typed);
  if (name.success) return { sector: name.data, ...named };
  if (!/^[0-9]{1,15}$/.test(typed))
    throw new UsageError(`${JSON.stringify(typed)} is no sector; name one like s-t01000-7, or 7 with --miner t01000`);
  if (miner === undefined) throw new UsageError(`--miner is missing; say whose sector ${typed} is, or name it like s-t01000-${typed}`);
  return { sector: Number(typed), ...named };
}

/** A miner as typed: `t01000`, `f01000`, or damocles' plain `1000`. */
export function minerOf(typed: string): MinerId {
  return (/^[0-9]+$/.test(typed) ? `t0${typed}` : typed) as MinerId;
}

/** What the options say of a request, whatever its plan. */
function wanted(values: Values): Pick<Request, 'pieces' | 'skipOnchainCheck'> {
  const pieces = text(values, 'piece')?.split(',') as PieceId[] | undefined;
  return {
    ...(pieces === undefined ? {} : { pieces }),
    ...(values['skip-onchain-check'] === true ? { skipOnchainCheck: true } : {}),
  };
}

/** A byte range; without a size, there is none. */
function range(values: Values): Pick<Request, 'range'> {
  const [offset, size] = [text(values, 'offset'), text(values, 'size')];
  if (size === undefined) {
    if (offset !== undefined) throw new UsageError('--size is missing; say how many bytes from --offset on');
    return {};
  }
  return { range: { offsetBytes: String(whole(offset ?? '0', '--offset')), sizeBytes: String(whole(size, '--size', 1)) } };
}

async function queue({ client, show }: Session, request: Request): Promise<void> {
  const answer = await sentOnce((idempotencyKey) => client.pledge(request, { idempotencyKey }));
  show(answer, ({ items }) => sectorTable(items));
}

async function pledge(session: Session): Promise<void> {
  const { values } = session;
  const sector = text(values, 'sector');
  const miner = text(values, 'miner');
  if (sector === undefined && miner === undefined) throw new UsageError('--miner is missing; give it a value');
  await queue(session, {
    plan: text(values, 'plan') ?? 'sealer',
    count: whole(text(values, 'count') ?? '1', '--count', 1),
    ...(sector === undefined ? { miner: minerOf(miner as string) } : sectorOf(sector, values)),
    ...wanted(values),
    ...range(values),
  });
}

/** A job on one sector that exists. */
async function onSector(session: Session, plan: string): Promise<void> {
  const { values, positionals } = session;
  await queue(session, { plan, ...sectorOf(positionals[0] as string, values), ...wanted(values), ...range(values) });
}

/** Without a sector: the next of committed capacity takes the data. */
async function snap(session: Session): Promise<void> {
  const { values, positionals } = session;
  if (positionals.length === 1) return onSector(session, 'snapup');
  const miner = text(values, 'miner');
  if (miner === undefined) throw new UsageError('name a sector (s-t01000-7), or --miner to take its next one of committed capacity');
  await queue(session, { plan: 'snapup', miner: minerOf(miner), ...wanted(values) });
}

export const PLEDGE_COMMANDS: readonly Command[] = [
  {
    words: 'sectors pledge',
    takes: '--miner M [--count N] [--plan P] [--piece ID,ID…] [--sector N] [--offset B --size B] [--skip-onchain-check]',
    about: 'queue sector jobs of any plan',
    options: {
      ...existing,
      count: { type: 'string' },
      plan: { type: 'string' },
      piece: { type: 'string' },
      sector: { type: 'string' },
      offset: { type: 'string' },
      size: { type: 'string' },
    },
    run: pledge,
  },
  {
    words: 'sectors snap',
    takes: `[${EXISTING}] --piece ID,ID… [--skip-onchain-check]`,
    about: 'put data into a sector of committed capacity',
    options: { ...existing, piece: { type: 'string' } },
    positionals: [0, 1],
    run: snap,
  },
  {
    words: 'sectors rebuild',
    takes: `${EXISTING} [--piece ID,ID…]`,
    about: "make a lost sector's files again",
    options: { ...existing, piece: { type: 'string' } },
    positionals: [1, 1],
    run: (session) => onSector(session, 'rebuild'),
  },
  {
    words: 'sectors unseal',
    takes: `${EXISTING} [--offset B --size B]`,
    about: 'decode the data of a sector, whole or a range of it',
    options: { ...existing, offset: { type: 'string' }, size: { type: 'string' } },
    positionals: [1, 1],
    run: (session) => onSector(session, 'unseal'),
  },
];
