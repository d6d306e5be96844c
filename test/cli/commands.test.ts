/** The command line against a real control plane: what it prints, where it finds things, how it ends. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { VERSION } from '../../src/main/docs-files.ts';
import { Daemon, ENTRY, cleanEnvironment } from '../e2e/processes.ts';

let data: string;
let daemon: Daemon;
let url: string;

beforeAll(async () => {
  data = mkdtempSync(join(tmpdir(), 'sealpool-cli-'));
  // No chain answers: jobs stay where they are, which is what is looked at here.
  daemon = new Daemon(
    ['serve', '--data', data],
    { SEALPOOL_CHAIN_URL: 'http://127.0.0.1:1/rpc/v1', SEALPOOL_WORKERS: '[{ name = "local", threads = 2 }]' },
    join(data, 'log'),
  );
  ({ url } = await daemon.start());
}, 60_000);
afterAll(async () => {
  await daemon.end('SIGTERM');
  rmSync(data, { recursive: true, force: true });
});

function run(args: string[], env: Record<string, string> = {}) {
  return spawnSync(process.execPath, ['--disable-warning=ExperimentalWarning', ENTRY, ...args], {
    env: { ...cleanEnvironment(), ...env },
    encoding: 'utf8',
    timeout: 30_000,
  });
}
const sealpool = (...args: string[]) => run([...args, '--data', data]);
const json = (...args: string[]) => JSON.parse(sealpool(...args, '--json').stdout);

test('pledge, list, show, pause, resume and abort a sector', { timeout: 60_000 }, () => {
  expect(sealpool('sectors', 'list').stdout).toMatch(/no sectors; `sealpool sectors pledge/);
  const [{ id }] = json('sectors', 'pledge', '--miner', 't01000').items;
  expect(sealpool('sectors', 'list').stdout).toMatch(new RegExp(`^sector +job +plan +state +paused.*\\n.*${id} +sealer +Empty`));
  expect(sealpool('sectors', 'pause', id).stdout).toMatch(/yes +operator/);
  expect(json('sectors', 'list', '--paused').items.map((job: { id: string }) => job.id)).toEqual([id]);
  expect(sealpool('sectors', 'show', id).stdout).toMatch(/paused.*Empty.*\(operator:first-admin\)/s);
  expect(sealpool('sectors', 'explain', id).stdout).toMatch(/it is paused until somebody resumes it/);
  expect(json('sectors', 'resume', id).paused).toBe(false);
  expect(json('sectors', 'abort', id).state).toBe('Aborted');
  expect(json('sectors', 'list', '--state', 'Abort').items.map((job: { id: string }) => job.id)).toEqual([id]);
});

test.each(['SEALPOOL_CHAIN_TOKEN', 'SEALPOOL_RUNNER_JOIN_TOKEN'])('dev refuses %s, which is for another chain or runner', (name) => {
  const { status, stderr } = run(['dev', '--data', join(data, 'dev'), '--port', '0'], { [name]: 'of-elsewhere' });
  expect(status).not.toBe(0);
  expect(stderr).toMatch(/(chain\.token|runner\.join_token) is set, but `sealpool dev` brings .* leave .* out/);
});

test('the commands that users of damocles type', { timeout: 60_000 }, () => {
  const jobs = json('sectors', 'pledge', '--miner', 't01000', '--count', '3').items.map((job: { id: string }) => job.id);
  const [{ threads }] = json('worker', 'list').items;
  const at = (index: number): string => json('util', 'worker', 'info', 'local').threads[index].job;
  expect(threads.map(({ job }: { job: string }) => job)).toEqual(jobs.slice(0, 2));
  expect(sealpool('worker', 'pause', '-i', '1').status).toBe(0);
  expect(sealpool('worker', 'list').stdout).toMatch(/^1 +local\/1 +sealer +\S+ +Empty +- +Paused\(.*s\)/m);
  expect(json('worker', 'resume', '--index', '1', '--state', 'Abort').state).toBe('Aborted');
  // The thread went on to the next job, which is paused and given up the older way.
  expect(at(1)).toBe(jobs[2]);
  expect(sealpool('util', 'worker', 'pause', 'local', '1').status).toBe(0);
  expect(json('util', 'worker', 'resume', 'local', '1', 'Abort').id).toBe(jobs[2]);
  expect(json('util', 'worker', 'list').items).toHaveLength(1);
  expect(sealpool('worker', 'resume', '-i', '7')).toMatchObject({
    status: 4,
    stderr: expect.stringMatching(/there is no sealing_thread local\/7/),
  });
});

test('threads are switched off and on, and given up by their thread', { timeout: 60_000 }, () => {
  const [first] = json('sectors', 'pledge', '--miner', 't01000', '--count', '3').items;
  const [{ threads }] = json('worker', 'list').items;
  const index = threads.findIndex(({ job }: { job: string }) => job === first.id);
  expect(json('worker', 'disable', '-i', String(index))).toMatchObject({ index, enabled: false, job: first.id });
  expect(json('worker', 'abort', '-i', String(index))).toMatchObject({ id: first.id, state: 'Aborted', notice: null });
  expect(sealpool('worker', 'list').stdout).toMatch(new RegExp(`^${index} +local/${index} +sealer +- +Empty +- +Off`, 'm'));
  expect(json('worker', 'enable', '-i', String(index)).job).toMatch(/^j-/);
});

test('limits are set in the words of damocles, of all and of one worker, and taken back', { timeout: 60_000 }, () => {
  expect(sealpool('settings', 'show').stdout).toMatch(/^no limits/);
  expect(json('settings', 'set', 'concurrent.pc1=2', 'staggered.PC1=5min', 'concurrent.tree_d=1').limits.all).toEqual({
    concurrent: { PC1: 2, BuildTreeD: 1 },
    staggeredMs: { PC1: 300_000 },
  });
  expect(sealpool('worker', 'limits', 'concurrent.snap_encode=1').stdout).toMatch(
    /of +stage +concurrent +staggered\nlocal +SnapEncode +1 +-/,
  );
  expect(sealpool('settings', 'show').stdout).toMatch(/all +PC1 +2 +5m\nlocal +SnapEncode +1 +-/);
  expect(json('settings', 'set', 'concurrent.pc1=default', 'staggered.pc1=default', 'concurrent.tree_d=default').limits.all).toEqual({
    concurrent: {},
    staggeredMs: {},
  });
  expect(sealpool('worker', 'limits', 'concurrent.snapencode=default').stdout).toMatch(/^no limits/);
});

test('requests on existing sectors say what stands against them', { timeout: 60_000 }, () => {
  for (const args of [
    ['snap', 's-t01000-77', '--piece', 'p-000000000000'],
    ['rebuild', '77', '--miner', 't01000'],
    ['unseal', 's-t01000-77', '--offset', '0', '--size', '127'],
    ['pledge', '--plan', 'snapup', '--miner', 't01000', '--sector', '77', '--piece', 'p-000000000000'],
  ]) {
    expect(sealpool('sectors', ...args)).toMatchObject({
      status: 4,
      stderr: expect.stringMatching(/sector 77 of t01000 is not known here/),
    });
  }
  expect(sealpool('sectors', 'unseal', 's-t01001-77')).toMatchObject({
    status: 4,
    stderr: expect.stringMatching(/there is no miner t01001/),
  });
});

test('options may stand between the words, and help is asked for by words', { timeout: 60_000 }, () => {
  const { status, stdout } = run(['--data', data, 'sectors', '--json', 'list', '--state', 'Finished']);
  expect({ status, items: JSON.parse(stdout).items }).toEqual({ status: 0, items: [] });
  const all = run(['help']).stdout.split('\n');
  expect(all.filter((line) => line.length > 150)).toEqual([]);
  expect(all).toContain('Workers and their sealing_threads');
  expect(run(['help', 'worker', 'resume']).stdout).toMatch(/^sealpool worker resume \[--state S\] --index I .*\n {4}go on/);
  expect(run(['worker', '--help']).stdout).toBe(run(['help', 'worker']).stdout);
  expect(run(['worker', 'resume', '-h']).stdout).toBe(run(['help', 'worker', 'resume']).stdout);
  expect(run(['help', 'wrker'])).toMatchObject({ status: 2, stderr: expect.stringMatching(/there is no command `sealpool wrker`/) });
});

test('tokens and runners: secrets are shown once, to whoever asked', { timeout: 60_000 }, () => {
  const made = json('tokens', 'create', '--name', 'watcher', '--role', 'viewer');
  expect(sealpool('tokens', 'list').stdout).not.toContain(made.token);
  const tokenFile = join(data, 'viewer.token');
  writeFileSync(tokenFile, `${made.token}\n`);
  expect(run(['sectors', 'list', '--url', url, '--token-file', tokenFile]).status).toBe(0);
  expect(run(['sectors', 'pledge', '--miner', 't01000', '--url', url, '--token-file', tokenFile])).toMatchObject({
    status: 4,
    stderr: expect.stringMatching(/^refused \(forbidden\): .*role operator.*\[request /),
  });
  expect(sealpool('tokens', 'revoke', made.id).stdout).toMatch(/is revoked/);
  expect(run(['sectors', 'list'], { SEALPOOL_URL: url, SEALPOOL_TOKEN: made.token })).toMatchObject({
    status: 4,
    stderr: expect.stringMatching(/refused \(unauthorized\)/),
  });
  expect(sealpool('runners', 'token', '--trust', 'own').stdout).toMatch(/^sp-join-[0-9a-f]{64}\njt-[0-9a-f]{16}, for one own runner/);
  expect(sealpool('runners', 'list').stdout).toMatch(/no runners/);
});

test('a file is uploaded as a piece; one too large is refused with the largest size', { timeout: 60_000 }, () => {
  const [fits, large] = [join(data, 'fits'), join(data, 'large')];
  writeFileSync(fits, Buffer.alloc(2032, 1));
  writeFileSync(large, Buffer.alloc(2033, 1));
  expect(sealpool('pieces', 'add', fits, '--miner', 't01000').stdout).toMatch(/p-\w+ +t01000 +2032 +2048/);
  expect(sealpool('pieces', 'add', large, '--miner', 't01000')).toMatchObject({
    status: 4,
    stderr: expect.stringMatching(/the largest has 2032 bytes/),
  });
  expect(json('pieces', 'list', '--miner', 't01000').items).toHaveLength(1);
});

test('a miner may be named by its number alone', { timeout: 60_000 }, () => {
  const [{ id }] = json('sectors', 'pledge', '--miner', '1000').items;
  expect(json('sectors', 'list', '--miner', '1000', '--limit', '1').items).toMatchObject([{ id, miner: 't01000' }]);
  const piece = join(data, 'piece');
  writeFileSync(piece, Buffer.alloc(127, 1));
  const added = json('pieces', 'add', piece, '--miner', '1000', '--reserved');
  expect(added.miner).toBe('t01000');
  expect(json('pieces', 'list', '--miner', '1000', '--reserved').items).toMatchObject([{ id: added.id }]);
  json('tokens', 'create', '--name', 'numbers', '--miners', '1000,t01000');
  expect(json('tokens', 'list').items).toContainEqual(expect.objectContaining({ name: 'numbers', miners: ['t01000'] }));
  const hook = json('webhooks', 'create', 'https://hooks.test/', '--miners', '1000');
  expect(hook.miners).toEqual(['t01000']);
  expect(json('webhooks', 'update', hook.id, '--miners', 'all').miners).toBeNull();
  expect(json('webhooks', 'update', hook.id, '--miners', '1000').miners).toEqual(['t01000']);
});

test('--version prints the version', { timeout: 60_000 }, () => {
  expect(run(['--version'])).toMatchObject({ status: 0, stdout: `sealpool ${VERSION}\n`, stderr: '' });
});

test('--verbose prints the same call for curl, and that call does the same', { timeout: 60_000 }, () => {
  const { stderr } = sealpool('sectors', 'pledge', '--miner', 't01000', '--verbose');
  const [line] = stderr.split('\n').filter((text) => text.startsWith('curl ')) as [string];
  expect(line).toContain('Bearer $SEALPOOL_TOKEN');
  const token = readFileSync(join(data, 'admin.token'), 'utf8').trim();
  expect(line).not.toContain(token);
  const answer = spawnSync('sh', ['-c', `${line} --silent`], { env: { ...cleanEnvironment(), SEALPOOL_TOKEN: token }, encoding: 'utf8' });
  expect(JSON.parse(answer.stdout).items[0]).toMatchObject({ plan: 'sealer', miner: 't01000' });
});

test.each([
  [['sectors', 'lst'], 2, /there is no command `sealpool sectors lst`; there are: .*sectors list, /],
  [['nothing'], 2, /`sealpool help` lists them/],
  [['sectors', 'show'], 2, /takes 1 arguments and got 0; type: sealpool sectors show/],
  [['sectors', 'list', '--colour'], 2, /Unknown option '--colour'.*type: sealpool sectors list/],
  [['sectors', 'pledge'], 2, /--miner is missing/],
  [['sectors', 'pledge', '--miner', 't01000', '--count', 'x'], 2, /--count must be a whole number from 1 on/],
  [['sectors', 'unseal', '7'], 2, /--miner is missing; say whose sector 7 is, or name it like s-t01000-7/],
  [['sectors', 'unseal', 'seven'], 2, /"seven" is no sector; name one like s-t01000-7/],
  [['sectors', 'unseal', 's-t01000-7', '--offset', '5'], 2, /--size is missing/],
  [['sectors', 'snap'], 2, /name a sector .*or --miner/],
  [['settings', 'set', 'concurrent.PC9=1'], 2, /there is no stage "PC9"; stages are AddPiece, /],
  [['settings', 'set', 'staggered.PC1=5'], 2, /"5" is no time; give one like 30s, 5m or 1h/],
  [['settings', 'set', 'PC1=5'], 2, /"PC1=5" is no setting; type: concurrent.STAGE=N/],
  [['sectors', 'show', 's-t01000-99999'], 4, /refused \(not_found\): there is no sector s-t01000-99999 here/],
  [['sectors', 'list', '--url', 'http://127.0.0.1:59999'], 3, /does not answer \(ECONNREFUSED\); start the control plane/],
  [['sectors', 'list', '--token-file', '/nowhere'], 1, /the token file \/nowhere cannot be read/],
] as const)('%j ends with %i and a sentence', { timeout: 60_000 }, (args, status, sentence) => {
  const ended = sealpool(...args);
  expect(ended.stderr).toMatch(sentence);
  expect(ended).toMatchObject({ status, stdout: '' });
});

test('a refusal is told with the request id, and with --json as its problem document', { timeout: 60_000 }, () => {
  expect(sealpool('sectors', 'show', 's-t01000-99999').stderr).toMatch(/^refused \(not_found\): .*; .* \[request \w+\]\n$/);
  const { status, stdout, stderr } = sealpool('sectors', 'show', 's-t01000-99999', '--json');
  expect({ status, stdout }).toEqual({ status: 4, stdout: '' });
  expect(JSON.parse(stderr)).toMatchObject({ code: 'not_found', status: 404, requestId: expect.stringMatching(/^\w+$/) });
});
