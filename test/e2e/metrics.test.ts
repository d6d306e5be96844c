/** `/metrics` of real processes, read by promtool and a real Prometheus with the configuration and alerts of docs/operating.md. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { freePort } from './free-port.ts';
import { Deployment, ROOT } from './processes.ts';

const has = (program: string): boolean => spawnSync(program, ['--version']).status === 0;
const [hasPromtool, hasPrometheus] = [has('promtool'), has('prometheus')];
if (!hasPromtool || !hasPrometheus) console.warn('prometheus is not installed: nobody reads the metrics');

let folder: string;
let deployment: Deployment;
let page: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sealpool-metrics-'));
  deployment = await Deployment.start();
  await deployment.addRunner('one');
  const [job] = await deployment.pledge();
  await deployment.finished(job as string);
  // Counted at most every few seconds, and fed by events once they are told.
  page = await until(
    metrics,
    (text) => /sealpool_sectors\{[^}]*state="Finished"[^}]*\} 1$/m.test(text) && text.includes('status="landed"'),
  );
}, 120_000);
afterAll(async () => {
  await deployment.end();
  rmSync(folder, { recursive: true, force: true });
});

const metrics = (): Promise<string> => fetch(`${deployment.url}/metrics`).then((answer) => answer.text());

async function until<T>(ask: () => Promise<T>, holds: (answer: T) => boolean, withinMs = 30_000): Promise<T> {
  const limitMs = Date.now() + withinMs;
  for (;;) {
    const answer = await ask();
    if (holds(answer)) return answer;
    if (Date.now() > limitMs) throw new Error(`it did not get there: ${JSON.stringify(answer).slice(0, 2_000)}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** The samples of a name: labels and value. */
function samples(name: string): string[] {
  return page.split('\n').flatMap((line) => (line.startsWith(`${name}{`) || line.startsWith(`${name} `) ? [line.slice(name.length)] : []));
}

test.runIf(hasPromtool)('promtool finds nothing to say about it', () => {
  const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: page, encoding: 'utf8' });
  expect(stdout + stderr).toBe('');
  expect(status).toBe(0);
});

test('a sealed sector is counted in all its parts', async () => {
  const answer = await fetch(`${deployment.url}/metrics`);
  expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  expect(samples('sealpool_sectors')).toEqual(['{plan="sealer",state="Finished",paused="false"} 1']);
  for (const stage of ['PC1', 'PC2', 'C2', 'Persist'])
    expect(samples('sealpool_stage_seconds_count')).toContain(`{stage="${stage}",status="done"} 1`);
  expect(samples('sealpool_chain_messages_total').toSorted()).toEqual([
    '{method="PreCommitSectorBatch2",status="landed"} 1',
    '{method="PreCommitSectorBatch2",status="pushed"} 1',
    '{method="ProveCommitSectors3",status="landed"} 1',
    '{method="ProveCommitSectors3",status="pushed"} 1',
  ]);
  expect(samples('sealpool_runners')).toEqual(['{status="ready",trust="own"} 1']);
  const routes = samples('sealpool_http_requests_total').map((line) => /route="([^"]*)"/.exec(line)?.[1]);
  expect(routes).toEqual(
    expect.arrayContaining(['/v1/sectors', '/v1/sectors/:ref', '/v1/runners/self/next', '/objects/-/uploads/:uploadId/:number']),
  );
  expect(page).not.toMatch(/route="[^"]*(j-|s-t0)/);
  expect(samples('sealpool_balance_fil')).toEqual([
    expect.stringMatching(/^\{address="t0\d+",kind="worker"\} \d+/),
    expect.stringMatching(/^\{address="t01000",kind="available"\} \d+/),
  ]);
  expect(Number(samples('sealpool_chain_head_epoch')[0])).toBeGreaterThan(900);
  // Proven: no deposit is at risk.
  expect(samples('sealpool_prove_commit_epochs_left')).toEqual([]);
  for (const name of ['sealpool_build_info', 'process_cpu_seconds_total']) expect(samples(name)).toHaveLength(1);
  expect(samples('sealpool_lease_expired_total')).toEqual([' 0']);
});

test('paths that somebody tries make no labels', async () => {
  for (const tried of ['nothing/here', 'v1/nothing', 'objects-of/nobody'])
    expect((await fetch(`${deployment.url}/${tried}`)).status).toBe(404);
  const after = await metrics();
  expect(after).toMatch(/sealpool_http_requests_total\{route="none",method="GET",status="404"\} 3/);
  expect(after).not.toContain('nobody');
});

/** The two files of docs/operating.md, in a folder of their own. */
function documented(): { config: string; rules: string } {
  const [config = '', rules = ''] = [...readFileSync(join(ROOT, 'docs/operating.md'), 'utf8').matchAll(/```yaml\n([^]*?)```/g)].map(
    ([, text]) => text as string,
  );
  return { config, rules };
}

test.runIf(hasPromtool)('the configuration and the alerts of docs/operating.md hold, and name metrics that there are', () => {
  const { config, rules } = documented();
  writeFileSync(join(folder, 'prometheus.yml'), config);
  writeFileSync(join(folder, 'sealpool-alerts.yml'), rules);
  for (const args of [
    ['config', 'prometheus.yml'],
    ['rules', 'sealpool-alerts.yml'],
  ]) {
    const { status, stdout, stderr } = spawnSync('promtool', ['check', ...args], { cwd: folder, encoding: 'utf8' });
    expect(`${status} ${stdout}${stderr}`).toMatch(/^0 .*SUCCESS/s);
  }
  const named = [...new Set(rules.match(/\bsealpool_\w+/g))];
  expect(named.length).toBeGreaterThanOrEqual(6);
  for (const name of named) expect(page, name).toContain(`# TYPE ${name} `);
});

test('every metric of ours is in the table of docs/operating.md, and the other way round', () => {
  const text = readFileSync(join(ROOT, 'docs/operating.md'), 'utf8').replaceAll(/```[^]*?```/g, '');
  const told = new Set(text.match(/\bsealpool_[a-z_]+/g));
  const there = new Set([...page.matchAll(/^# TYPE (sealpool_\w+)/gm)].map(([, name]) => name as string));
  expect([...told].toSorted()).toEqual([...there].toSorted());
});

test.runIf(hasPrometheus)('Prometheus scrapes it and answers what is asked', { timeout: 60_000 }, async () => {
  const port = await freePort();
  const own = join(folder, 'prometheus');
  mkdirSync(own);
  const { config, rules } = documented();
  writeFileSync(join(own, 'prometheus.yml'), config.replace('15s', '1s').replace('127.0.0.1:5230', new URL(deployment.url).host));
  writeFileSync(join(own, 'sealpool-alerts.yml'), rules);
  const args = [`--config.file=${own}/prometheus.yml`, `--storage.tsdb.path=${own}/tsdb`, `--web.listen-address=127.0.0.1:${port}`];
  const child = spawn('prometheus', args, { stdio: 'ignore' });
  onTestFinished(() => ended(child));
  const query = async (asked: string): Promise<{ metric: Record<string, string>; value: [number, string] }[]> => {
    const answer = await fetch(`http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(asked)}`).catch(() => undefined);
    if (answer?.ok !== true) return [];
    return ((await answer.json()) as { data: { result: { metric: Record<string, string>; value: [number, string] }[] } }).data.result;
  };
  const sectors = await until(
    () => query('sealpool_sectors'),
    (result) => result.length > 0,
  );
  expect(sectors[0]).toMatchObject({ metric: { plan: 'sealer', state: 'Finished', paused: 'false' }, value: [expect.any(Number), '1'] });
  expect(await query('up{job="sealpool"}')).toMatchObject([{ value: [expect.any(Number), '1'] }]);
  const rules_ = (await fetch(`http://127.0.0.1:${port}/api/v1/rules`).then((answer) => answer.json())) as {
    data: { groups: { rules: { health: string }[] }[] };
  };
  expect(rules_.data.groups[0]?.rules).toHaveLength(5);
});

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const gone = new Promise((resolve) => child.once('close', resolve));
  child.kill('SIGTERM');
  await gone;
}
