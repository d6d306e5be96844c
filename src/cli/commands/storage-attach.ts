/** `sealpool storage attach`: makes a folder of this machine known as miner storage to lotus, and says what the runner's configuration needs. */
import { randomUUID } from 'node:crypto';
import { mkdir, open, readFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { META_FILE, SectorStore } from '../../schema/sector-store.ts';
import { StorageId, bucketOf, isBucket } from '../../schema/miner-storage.ts';
import { MinerId } from '../../schema/ids.ts';
import { type Command, type Session, UsageError, argument, text, whole } from '../command.ts';

export type NewStore = {
  readonly weight: number;
  readonly maxBytes: number;
  readonly allowMiners: string[];
  readonly denyMiners: string[];
};

/** Writes the file into a path that has none, for long-term storage; answers it. Throws when the path has one. */
export async function initSectorStore(path: string, { weight, maxBytes, allowMiners, denyMiners }: NewStore): Promise<SectorStore> {
  const store: SectorStore = {
    ID: randomUUID(),
    Weight: weight,
    CanSeal: false,
    CanStore: true,
    MaxStorage: maxBytes,
    Groups: [],
    AllowTo: [],
    AllowTypes: [],
    DenyTypes: [],
    AllowMiners: allowMiners,
    DenyMiners: denyMiners,
  };
  await mkdir(path, { recursive: true });
  const handle = await open(join(path, META_FILE), 'wx', 0o644).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw new UsageError(`${path} has a ${META_FILE} already; leave --init out`);
    throw error;
  });
  try {
    await handle.writeFile(`${JSON.stringify(store, null, 2)}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  const folder = await open(path, 'r');
  await folder.sync().finally(() => folder.close());
  return store;
}

function miners(session: Session, name: string): string[] {
  const named = text(session.values, name)?.split(',') ?? [];
  const wrong = named.find((miner) => !MinerId.safeParse(miner).success);
  if (wrong !== undefined) throw new UsageError(`--${name} names ${JSON.stringify(wrong)}, which is no miner; write t01000,t01001`);
  return named;
}

async function attach(session: Session): Promise<void> {
  const { values, positionals, show } = session;
  const named = argument(positionals, 0);
  if (isBucket(named)) return attachBucket(session, named);
  const path = resolve(named);
  const id = text(values, 'id') ?? basename(path);
  if (!StorageId.safeParse(id).success) throw new UsageError(`${JSON.stringify(id)} cannot be the id of a storage; give one with --id`);
  const init = values['init'] === true;
  const store = init
    ? await initSectorStore(path, {
        weight: whole(text(values, 'weight') ?? '10', '--weight'),
        maxBytes: whole(text(values, 'max-bytes') ?? '0', '--max-bytes'),
        allowMiners: miners(session, 'allow-miners'),
        denyMiners: miners(session, 'deny-miners'),
      })
    : await readStore(path);
  show({ id, path, store }, () =>
    [
      `${path} is known to lotus as ${store.ID}; weight ${store.Weight}`,
      'Add it to the configuration of the runner on this machine, and start that again:',
      `  [[runner.storage]]\n  id = ${JSON.stringify(id)}\n  path = ${JSON.stringify(path)}`,
      `For Window PoSt by lotus: lotus-miner storage attach ${path}`,
    ].join('\n'),
  );
}

/** Its keys are the runner's alone: nothing is read or written here. */
function attachBucket({ values, show }: Session, path: string): void {
  const known = bucketOf(path);
  if (known === undefined) throw new UsageError(`${JSON.stringify(path)} is no bucket; write s3://NAME or s3://NAME/PREFIX`);
  if (values['init'] === true)
    throw new UsageError('a bucket is known to lotus by a folder that it is mounted at: run storage attach --init with that folder');
  const id = text(values, 'id') ?? (basename(known.prefix) || known.bucket);
  if (!StorageId.safeParse(id).success) throw new UsageError(`${JSON.stringify(id)} cannot be the id of a storage; give one with --id`);
  show({ id, path, store: null }, () =>
    [
      'Add it to the configuration of one own runner, and start that again:',
      `  [[runner.storage]]\n  id = ${JSON.stringify(id)}\n  path = ${JSON.stringify(path)}`,
      '  s3 = { endpoint = "https://…", access_key_file = "/…", secret_key_file = "/…" }',
      'lotus-miner does no Window PoSt from a bucket by itself; see Miner storage in docs/operating.md for who can.',
    ].join('\n'),
  );
}

async function readStore(path: string): Promise<SectorStore> {
  const content = await readFile(join(path, META_FILE), 'utf8').catch(() => undefined);
  if (content === undefined) throw new UsageError(`${path} has no ${META_FILE}; --init writes one`);
  try {
    return SectorStore.parse(JSON.parse(content));
  } catch {
    throw new UsageError(`the ${META_FILE} in ${path} is not what lotus writes; mend it`);
  }
}

export const ATTACH_STORAGE: Command = {
  words: 'storage attach',
  takes: 'PATH [--id I] [--init [--weight N] [--max-bytes N] [--allow-miners M,M] [--deny-miners M,M]]',
  about: "make a folder of this machine miner storage: its sectorstore.json, and what the runner's configuration needs",
  options: {
    id: { type: 'string' },
    init: { type: 'boolean' },
    weight: { type: 'string' },
    'max-bytes': { type: 'string' },
    'allow-miners': { type: 'string' },
    'deny-miners': { type: 'string' },
  },
  positionals: [1, 1],
  alone: true,
  run: attach,
};
