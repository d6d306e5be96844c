/**
 * Every command line that damocles' users type, both generations, through the alias programs of `bin/` with only the
 * program's name changed, against a real control plane, dev chain and runner. The effect is read through the API.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import type { Client, ThreadView } from '../../src/api/client.ts';
import { Deployment, ROOT, cleanEnvironment } from '../e2e/processes.ts';

let deployment: Deployment;
let client: Client;

/** A configuration as venus-worker and damocles-worker have it, with an instance name. */
const NAMED = `
[worker]
name = "worker-1"
[sector_manager]
rpc_client.addr = "/ip4/127.0.0.1/tcp/1789"
[[sealing_thread]]
location = "/mnt/store1"
plan = "sealer"
`;
/** One without a name: the worker is known by where it answers. */
const ADDRESSED = `
[worker]
rpc_server.host = "0.0.0.0"
rpc_server.port = 17890
[sector_manager]
rpc_client.addr = "/ip4/127.0.0.1/tcp/1789"
`;

beforeAll(async () => {
  const workers = '[{ name = "worker-2", plan = "snapup" }, { name = "worker-1", threads = 2, address = "127.0.0.1:17890" }]';
  deployment = await Deployment.start({ settings: { SEALPOOL_WORKERS: workers } });
  client = deployment.client;
  writeFileSync(join(deployment.folder, 'named.toml'), NAMED);
  writeFileSync(join(deployment.folder, 'addressed.toml'), ADDRESSED);
  // No PC2: every sector comes to rest in PC1Done, with a ticket.
  await deployment.addRunner('first', { stages: ['AddPiece', 'BuildTreeD', 'PC1'] });
  await deployment.pledge(40);
}, 60_000);
afterAll(() => deployment.end());

/** The one `sed` that an old script needs, as docs/from-damocles.md gives it. */
const SED = /^sed -i ('.*') \*\.sh$/m.exec(readFileSync(join(ROOT, 'docs/from-damocles.md'), 'utf8'))?.[1];

/** An old script of one line: the line goes through the `sed` and is run as it comes out. */
function typed(line: string): { status: number | null; stdout: string; stderr: string } {
  const { PATH = '', ...env } = cleanEnvironment();
  return spawnSync('sh', ['-c', `eval "$(printf '%s' "$OLD" | sed ${SED})"`], {
    cwd: deployment.folder,
    env: { ...env, OLD: line, PATH: `${join(ROOT, 'bin')}:${PATH}`, SEALPOOL_DATA: join(deployment.folder, 'data') },
    encoding: 'utf8',
    timeout: 30_000,
  });
}

function works(line: string): string {
  const { status, stdout, stderr } = typed(line);
  expect({ line, status, stderr }).toEqual({ line, status: 0, stderr: '' });
  return stdout;
}

const thread = async (index: number): Promise<ThreadView> => (await client.worker('worker-1')).threads[index] as ThreadView;
const jobIn = async (index: number): Promise<string> => (await thread(index)).job as string;

/** The job in the thread, once it rests where nothing runs PC2. */
async function resting(index: number): Promise<{ job: string; generation: number; ticketEpoch: number }> {
  const job = await jobIn(index);
  const { job: row } = await deployment.until(
    job,
    ({ job: { state, waiting } }) => state === 'PC1Done' && waiting.for === 'runner',
    15_000,
  );
  return { job, generation: row.generation, ticketEpoch: row.data.ticket?.epoch as number };
}

/** How each generation asks for listings; a file that names the worker shows that one alone. */
const GENERATIONS = [
  { worker: 'damocles-worker worker', shows: 3, manager: 'damocles-manager util worker', w: 'worker-1' },
  { worker: 'venus-worker worker -c named.toml', shows: 2, manager: 'venus-sector-manager util worker', w: '127.0.0.1' },
] as const;

test.each([
  ['damocles-worker worker pause --index 0', 'damocles-worker worker resume --index 0'],
  ['damocles-worker worker pause -i 0', 'damocles-worker worker resume -i 0'],
  ['damocles-worker worker -H 127.0.0.1:17890 pause -i 0', 'damocles-worker worker --host 127.0.0.1:17890 resume -i 0'],
  ['venus-worker worker -c named.toml pause --index 0', 'venus-worker worker -c named.toml resume --index 0'],
  ['venus-worker worker -c addressed.toml pause -i 0', 'venus-worker worker --config=addressed.toml resume -i 0'],
  ['damocles-manager util worker pause worker-1 0', 'damocles-manager util worker resume worker-1 0'],
  ['damocles-manager util worker pause 127.0.0.1 0', 'damocles-manager util worker resume 127.0.0.1:17890 0'],
  ['venus-sector-manager util worker pause worker-1 0', 'venus-sector-manager --net main util worker resume worker-1 0'],
])('%s, then %s', { timeout: 20_000 }, async (pause, resume) => {
  const { job } = await resting(0);
  works(pause);
  expect(await thread(0)).toMatchObject({ job, state: 'PC1Done', threadState: 'Paused', paused: true });
  works(resume);
  expect(await thread(0)).toMatchObject({ job, state: 'PC1Done', threadState: 'Waiting', stage: 'PC2', paused: false });
});

test.each([
  'damocles-worker worker resume --state TreeDBuilt --index 0',
  'damocles-worker worker resume -s TreeDBuilt -i 0',
  'venus-worker worker -c named.toml resume --state TreeDBuilt --index 0',
  'damocles-manager util worker resume worker-1 0 TreeDBuilt',
  'venus-sector-manager util worker resume worker-1 0 TreeDBuilt',
])('%s: the same sector goes on from there, with a fresh ticket', { timeout: 20_000 }, async (line) => {
  const before = await resting(0);
  await client.pauseThread('worker-1', 0);
  works(line);
  const after = await resting(0);
  expect(after).toMatchObject({ job: before.job, generation: before.generation + 1 });
  expect(after.ticketEpoch).toBeGreaterThan(before.ticketEpoch);
});

test.each([
  'damocles-worker worker resume --state Aborted --index 1',
  'damocles-worker worker resume -s Abort -i 1',
  'venus-worker worker -c named.toml resume --state Aborted --index 1',
  'venus-worker worker -c addressed.toml resume --state Abort --index 1',
  'damocles-manager util worker resume worker-1 1 Aborted',
  'venus-sector-manager util worker resume 127.0.0.1 1 Abort',
])('%s: the sector is given up and the thread takes the next', { timeout: 20_000 }, async (line) => {
  const { job } = await resting(1);
  await client.pauseThread('worker-1', 1);
  works(line);
  expect((await client.sector(job)).job).toMatchObject({ state: 'Aborted', paused: false });
  expect(await jobIn(1)).not.toBe(job);
});

/** A listing's columns: they are apart by two blanks or more. */
const cells = (line: string): string[] => line.trimEnd().split(/ {2,}/);

test('both programs of both generations list in the columns that their users know', { timeout: 30_000 }, async () => {
  await resting(0);
  await client.pauseThread('worker-1', 0);
  onTestFinished(async () => void (await client.resumeThread('worker-1', 0)));
  const { sector } = await thread(0);
  for (const { worker, shows, manager, w } of GENERATIONS) {
    const [head, ...rows] = works(`${worker} list`).trimEnd().split('\n');
    expect(cells(head as string)).toEqual(['#', 'location', 'Plan', 'JobID', 'JobState', 'JobStage', 'ThreadState', 'LastErr']);
    const paused = rows.map(cells).find(([, location]) => location === 'worker-1/0');
    expect(paused).toEqual(['0', 'worker-1/0', 'sealer', sector, 'PC1Done', '-', expect.stringMatching(/^Paused\(.*s\)$/), '-']);
    expect(rows).toHaveLength(shows);

    const [all, ...workers] = works(`${manager} list`).trimEnd().split('\n');
    expect(cells(all as string).join(' ')).toBe(
      'Name Dest Version Threads Empty Paused Running Waiting Errors LastPing(with ! if expired)',
    );
    const shown = workers.map(cells).find(([name]) => name === 'worker-1') as string[];
    expect(shown.slice(0, 6)).toEqual(['worker-1', '127.0.0.1:17890', expect.any(String), '2', '0', '1']);

    const [info, first] = works(`${manager} info ${w}`).trimEnd().split('\n');
    expect(cells(info as string)).toEqual(['Index', 'Loc', 'Plan', 'JobID', 'JobState', 'JobStage', 'ThreadState', 'LastErr']);
    expect(cells(first as string).slice(0, 5)).toEqual(['0', 'worker-1/0', 'sealer', sector, 'PC1Done']);
  }
  expect(JSON.parse(works('damocles-manager util worker info worker-1 --json'))).toMatchObject({
    worker: 'worker-1',
    threads: [{ sector }, {}],
  });
});

test('the sector commands of the manager: state, list, abort', { timeout: 20_000 }, async () => {
  await resting(1);
  const { sector, job } = await thread(1);
  const [, , number] = (sector as string).split('-');
  expect(works(`damocles-manager util sealer sectors state 1000 ${number}`)).toMatch(new RegExp(`^${sector} .*\nstate PC1Done`));
  expect(works('damocles-manager util sealer sectors list --miner t01000')).toMatch(new RegExp(`${sector} +${job} +sealer +PC1Done`));
  expect(works('damocles-manager util sealer sectors list --sealing=false --snapup')).toMatch(/Count: 0$/m);
  // Without the flag nothing happens, as with damocles.
  expect(typed(`damocles-manager util sealer sectors abort t01000 ${number}`)).toMatchObject({ status: 2, stderr: /--really-do-it/ });
  expect((await client.sector(job as string)).job.state).toBe('PC1Done');
  works(`damocles-manager util sealer sectors abort t01000 ${number} --really-do-it`);
  expect((await client.sector(job as string)).job.state).toBe('Aborted');
  expect(works('damocles-manager util sealer sectors list --offline')).toContain(sector);
});

test.each([
  ['damocles-worker worker resume --state Nowhere --index 0', 4, /unknown_state.*TreeDBuilt, TicketAssigned, PC1Done, Aborted/],
  ['damocles-worker worker resume --state C1Done --index 0', 4, /inputs_missing.*PC1Done, Aborted/],
  ['damocles-worker worker pause --index 9', 4, /not_found.*worker-1\/9/],
  ['damocles-manager util worker pause 10.9.9.9 0', 4, /not_found.*10\.9\.9\.9/],
  ['venus-worker worker -c nowhere.toml list', 1, /nowhere\.toml is not there/],
  ['damocles-worker worker resume', 2, /--index is missing/],
] as const)('%s is refused and changes nothing', { timeout: 20_000 }, async (line, status, sentence) => {
  await resting(0);
  const paused = await client.pauseThread('worker-1', 0);
  onTestFinished(async () => void (await client.resumeThread('worker-1', 0)));
  const ended = typed(line);
  expect(ended.stderr).toMatch(sentence);
  expect(ended).toMatchObject({ status, stdout: '' });
  expect((await client.sector(paused.id)).job).toEqual(paused);
});
