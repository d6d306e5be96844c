/**
 * `node run.ts [--sectors N] [--folder DIR]`: fills a database with N sectors (100,000), serves it with the real
 * control plane beside a real dev chain, and prints what requests and restarts take as a Markdown table. With a folder
 * the databases stay there, and a second run takes them as they are.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { fill, type Filled, seeded } from './fill.ts';
import { type Asked, ask, type Figure, figure, times } from './measure.ts';
import { MINERS } from './mix.ts';
import { fillPeer } from './peer.ts';
import { type Running, start, startProgram } from './processes.ts';
import { type Case, combinations, listings } from './requests.ts';

const PAGE = 500;
const RESTARTS = 5;
const { values } = parseArgs({ options: { sectors: { type: 'string', default: '100000' }, folder: { type: 'string' } } });
const sectors = Number(values.sectors);
const folder = values.folder ?? mkdtempSync(join(tmpdir(), 'bench-store-'));
const say = (what: string): void => console.error(what);

/** The database and the peer's, made unless they are there. */
async function databases(): Promise<{ filled: Filled; data: string; peerFile: string }> {
  const [data, peerFile, note] = [join(folder, 'serve'), join(folder, 'documents.sqlite'), join(folder, 'filled.json')];
  if (!existsSync(note)) {
    mkdirSync(data, { recursive: true });
    const filled = await fill(join(data, 'sealpool.sqlite'), sectors, say);
    say('the same as documents');
    fillPeer(join(data, 'sealpool.sqlite'), peerFile);
    writeFileSync(note, JSON.stringify(filled));
  }
  return { filled: JSON.parse(readFileSync(note, 'utf8')) as Filled, data, peerFile };
}

function configuration({ workers }: Filled): string {
  const miners = MINERS.map((id) => `[[miners]]\nid = "${id}"\nseal_proof = "StackedDrg32GiBV1_1"\n`);
  const sections = workers.map(({ name, plan, threads }) => `[[workers]]\nname = "${name}"\nplan = "${plan}"\nthreads = ${threads}\n`);
  return `log_level = "warn"\nrate_limits.token = { per_second = 100000, burst = 100000 }\n${miners.join('')}${sections.join('')}`;
}

const rows: string[] = [];
const shown = (ms: number): string => ms.toFixed(1);
const row = (name: string, ours: Figure, peer?: Figure): void => {
  const line = `| ${name} | ${shown(ours.p50Ms)} | ${shown(ours.p99Ms)} | ${shown(ours.slowestMs)} | ${peer === undefined ? '–' : shown(peer.p50Ms)} | ${peer === undefined ? '–' : shown(peer.slowestMs)} |`;
  rows.push(line);
  say(line);
};

/** The pages of the whole listing: their times, and the cursors that led to them. */
async function walk(ours: Asked): Promise<{ took: number[]; cursors: string[] }> {
  const [took, cursors]: [number[], string[]] = [[], []];
  let cursor: string | null | undefined;
  do {
    const { ms, body } = await ask(ours, `/v1/sectors?limit=${PAGE}${typeof cursor === 'string' ? `&cursor=${cursor}` : ''}`);
    took.push(ms);
    cursor = body.cursor;
    if (typeof cursor === 'string') cursors.push(cursor);
  } while (typeof cursor === 'string');
  return { took, cursors };
}

async function compare(ours: Asked, peer: Asked, { name, paths, rounds, peerRounds }: Case, same: boolean): Promise<void> {
  for (const path of same ? paths : []) {
    const [mine, its] = [await ask(ours, path), await ask(peer, path)].map(({ body }) => body.items?.map(({ id }) => id).join());
    if (mine !== its) throw new Error(`${path}: the two answers are of different sectors; one of them filters wrongly`);
  }
  row(name, await times(ours, paths, rounds), peerRounds === 0 ? undefined : await times(peer, paths, peerRounds));
}

async function tokenFor(ours: Asked, miners: readonly string[]): Promise<Asked> {
  const response = await fetch(`${ours.url}/v1/tokens`, {
    method: 'POST',
    headers: { authorization: `Bearer ${ours.token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ name: `for ${miners.length}`, role: 'viewer', miners }),
  });
  return { url: ours.url, token: ((await response.json()) as { token: string }).token };
}

async function requests(ours: Asked, peer: Asked, filled: Filled): Promise<void> {
  const { took, cursors } = await walk(ours);
  row(`the whole listing, ${took.length} pages of ${PAGE}`, figure(took));
  const middle = cursors[Math.floor(cursors.length / 2)] as string;
  for (const each of listings(middle, cursors.at(-1) as string)) await compare(ours, peer, each, true);
  const all = combinations(undefined);
  row(`all ${all.length} combinations of filters`, await times(ours, all, 1));
  row(`all ${all.length}, from the middle`, await times(ours, combinations(middle), 1));
  for (const miners of [MINERS.slice(-1), MINERS.slice(-10)]) {
    const viewer = await tokenFor(ours, miners);
    row(`the same with a token for ${miners.length} small miners`, await times(viewer, all, 1));
  }
  const random = seeded(7);
  const names = await Promise.all(
    Array.from({ length: 60 }, async () => {
      const { body } = await ask(ours, `/v1/sectors?state=Finished&limit=1&cursor=${2 + Math.floor(random() * filled.sectors)}`);
      return (body.items?.[0] as { sector?: string } | undefined)?.sector ?? '';
    }),
  );
  const paths = names.map((name) => `/v1/sectors/${name}`);
  row('one sector with its history, by name', await times(ours, paths, 3), await times(peer, paths.slice(0, 3), 1));
  const pages = [0, 0.25, 0.5, 0.75, 0.99].map((share) => `/v1/events?limit=1000&after=${Math.floor(filled.events * share)}`);
  row('1,000 events from anywhere', await times(ours, pages, 4), await times(peer, pages, 4));
  const { body } = await ask(ours, '/v1/runners');
  for (const [name, query] of eventFilters(filled, body.items?.[0]?.id ?? ''))
    row(`1,000 events ${name}`, await times(ours, [`/v1/events?limit=1000&${query}`], 20));
  const records = ['/v1/sectors/export?limit=500', `/v1/sectors/export?limit=500&cursor=${MINERS[0]}/${Math.floor(filled.sectors / 2)}`];
  row('500 records of an export, from the start and from the middle', await times(ours, records, 10));
  row('all workers with their threads', await times(ours, ['/v1/workers'], 10));
  row('runners with what runs on them', await times(ours, ['/v1/runners'], 10));
}

/** Filters of the history, from the start and from late in it: common types, rare ones, one miner's, one runner's, none's. */
function eventFilters({ events }: Filled, runner: string): [string, string][] {
  const late = `after=${Math.floor(events * 0.9)}`;
  const filters: [string, string][] = [
    ['of the commonest type', 'type=sector.transition'],
    ['of a rare type', 'type=sector.aborted'],
    ['of a type there is not', 'type=audit'],
    ['of three types', 'type=sector.paused,sector.error,sector.aborted'],
    ['of a small miner', `miner=${MINERS.at(-1)}`],
    ['of the largest miner', `miner=${MINERS[0]}`],
    ['of a rare type of a small miner', `type=sector.paused&miner=${MINERS.at(-1)}`],
    ['of a runner', `runner=${runner}`],
  ];
  return filters.flatMap(([name, query]) => [
    [name, query],
    [`${name}, late`, `${query}&${late}`],
  ]);
}

async function restarts(data: string, env: Record<string, string>, first: Running): Promise<Running> {
  let running = first;
  for (const [signal, name] of [
    ['SIGTERM', 'restart after an orderly end'],
    ['SIGKILL', 'restart after SIGKILL'],
  ] as const) {
    const took: number[] = [];
    for (let n = 0; n < RESTARTS; n += 1) {
      await running.stop(signal);
      running = await start('serve', data, env);
      took.push(running.readyMs);
    }
    row(`${name}, until ready`, figure(took));
  }
  return running;
}

const { filled, data, peerFile } = await databases();
writeFileSync(join(folder, 'sealpool.toml'), configuration(filled));
const chain = await start('devnet', join(folder, 'devnet'), {});
const env = {
  SEALPOOL_CONFIG: join(folder, 'sealpool.toml'),
  SEALPOOL_CHAIN_URL: `${chain.url}/rpc/v1`,
  SEALPOOL_CHAIN_TOKEN_FILE: chain.tokenFile,
};
const documents = await startProgram(process.execPath, [join(import.meta.dirname, 'peer.ts'), peerFile], {});
let plane = await start('serve', data, env);
try {
  const token = readFileSync(plane.tokenFile, 'utf8').trim();
  await requests({ url: plane.url, token }, { url: documents.url, token }, filled);
  plane = await restarts(data, env, plane);
} finally {
  await Promise.all([plane.stop('SIGTERM'), documents.stop('SIGTERM'), chain.stop('SIGTERM')]);
}
const bytes = statSync(join(data, 'sealpool.sqlite')).size;
if (values.folder === undefined) rmSync(folder, { recursive: true, force: true });
const many = (value: number): string => value.toLocaleString('en');
console.log(
  `${many(filled.sectors)} sectors, ${many(filled.events)} events, ${many(filled.attempts)} attempts, ${many(filled.effects)} effects in ${(bytes / 2 ** 30).toFixed(1)} GiB; ${cpus().length} × ${cpus()[0]?.model}, Node ${process.versions.node}\n`,
);
console.log('| request | p50, ms | p99, ms | slowest, ms | documents p50, ms | slowest, ms |\n|---|---|---|---|---|---|');
console.log(rows.join('\n'));
