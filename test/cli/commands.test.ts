/** The command line against a real control plane: what it prints, where it finds things, how it ends. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
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
  expect(sealpool('worker', 'list').stdout).toMatch(/local +1 +sealer.*yes/);
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
  expect(sealpool('runners', 'token', '--trust', 'own').stdout).toMatch(/^sp-join-[0-9a-f]{64}\nfor one own runner/);
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
  [['sectors', 'lst'], 2, /there is no command `sealpool sectors lst`; there are: sectors list/],
  [['nothing'], 2, /`sealpool help` lists them/],
  [['sectors', 'show'], 2, /takes 1 arguments and got 0; type: sealpool sectors show/],
  [['sectors', 'list', '--colour'], 2, /Unknown option '--colour'.*type: sealpool sectors list/],
  [['sectors', 'pledge'], 2, /--miner is missing/],
  [['sectors', 'pledge', '--miner', 't01000', '--count', 'x'], 2, /--count must be a whole number from 1 on/],
  [['sectors', 'show', 's-t01000-99999'], 4, /refused \(not_found\): there is no sector s-t01000-99999 here/],
  [['sectors', 'list', '--url', 'http://127.0.0.1:59999'], 3, /does not answer \(ECONNREFUSED\); start the control plane/],
  [['sectors', 'list', '--token-file', '/nowhere'], 1, /the token file \/nowhere cannot be read/],
] as const)('%j ends with %i and a sentence', { timeout: 60_000 }, (args, status, sentence) => {
  const ended = sealpool(...args);
  expect(ended.stderr).toMatch(sentence);
  expect(ended).toMatchObject({ status, stdout: '' });
});
