/** One request id leads through a step of a sector: over the logs of real processes, from the grant to the message that came of it. */
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { SectorDetail } from '../../src/api/client.ts';
import { type Line, linesOf } from './logs.ts';
import { Deployment } from './processes.ts';

let deployment: Deployment;
let detail: SectorDetail;
let serve: Line[];
let runner: Line[];
beforeAll(async () => {
  deployment = await Deployment.start({ settings: { SEALPOOL_LOG_LEVEL: 'trace' } });
  await deployment.addRunner('one', { environment: { SEALPOOL_LOG_LEVEL: 'trace' } });
  const [job] = await deployment.pledge();
  await deployment.finished(job as string);
  // What the last event says is in the log once the control plane has ended in order.
  detail = await deployment.client.sector(job as string);
  await deployment.runners.get('one')?.end('SIGTERM');
  await deployment.controlPlane.end('SIGTERM');
  serve = linesOf(deployment, 'serve');
  runner = linesOf(deployment, 'runner-one');
}, 120_000);
afterAll(() => deployment.end());

const of = (lines: readonly Line[], requestId: string): Line[] => lines.filter((line) => line['requestId'] === requestId);

/** The step of this stage: its attempt, and all that the two logs say with its id. */
function stepOf(stage: string) {
  const attempt = detail.attempts.find((one) => one.stage === stage);
  if (attempt === undefined || attempt.request === null) throw new Error(`no attempt of ${stage} with a request`);
  return { attempt, here: of(serve, attempt.request), there: of(runner, attempt.request) };
}

/** How many there are of these depends on how long the stage takes, and on what the runner has. */
const OF_FILES: ReadonlySet<unknown> = new Set([
  'inputs fetched',
  'inputs are there',
  'output kept while the stage goes on',
  'output sent',
]);

test.each(['PC1', 'PC2', 'C2'])('%s: grant, work, upload, report and what followed, in order and nothing else', (stage) => {
  const { attempt, here, there } = stepOf(stage);
  expect(attempt.request).toMatch(/^[0-9a-f]{16}$/);
  expect(there.map(({ msg }) => msg).filter((msg) => !OF_FILES.has(msg))).toEqual([
    'stage begins',
    'the stage program ended well',
    'stage done',
    'report accepted: the result counts',
  ]);
  if (stage !== 'C2') expect(there.filter(({ msg }) => msg === 'output sent').length).toBeGreaterThan(0);
  for (const line of there) expect(line).toMatchObject({ attempt: attempt.id, stage, sector: detail.job.sector });

  const events = here.filter(({ msg }) => msg === 'event');
  expect(events.slice(0, 2).map(({ kind, status }) => [kind, status])).toEqual([
    ['attempt', 'running'],
    ['attempt', 'done'],
  ]);
  // A proof is verified before the sector goes on: that is a step of its own.
  expect(events.slice(2).map(({ kind }) => kind)).toEqual(stage === 'C2' ? [] : expect.arrayContaining(['transition']));
  for (const line of events) expect(line).toMatchObject({ job: detail.job.id, sector: detail.job.sector });
  expect(here.filter(({ msg }) => msg === 'request')).toEqual([expect.objectContaining({ path: '/v1/runners/self/next', status: 200 })]);
});

test('the message that came of a step has its id, from the signing to the landing', () => {
  const database = new Database(join(deployment.folder, 'data/sealpool.sqlite'), { readonly: true });
  const rows = database.prepare("select step, request from effects where step in ('SubmitPC', 'SubmitProof')").all();
  database.close();
  expect(rows).toHaveLength(2);
  for (const { step, request } of rows as { step: string; request: string }[]) {
    const granted = detail.attempts.filter((attempt) => attempt.request === request);
    expect(granted, step).toHaveLength(1);
    const here = of(serve, request);
    expect(of(runner, request).map(({ msg }) => msg)).toContain('stage begins');
    expect(here.map(({ msg, kind, status, outcome, step: of_ }) => [msg, kind, status ?? outcome ?? of_])).toEqual(
      expect.arrayContaining([
        ['event', 'attempt', 'running'],
        ['event', 'attempt', 'done'],
        ['event', 'message', step],
        ['effect', 'message', 'pushed'],
        ['effect', 'landed', 'landed'],
      ]),
    );
  }
});

test('whatever the logs say of an attempt has the id of its request, and every event is told once', () => {
  for (const { id, request } of detail.attempts) {
    const about = [...serve, ...runner].filter((line) => line['attempt'] === id);
    expect(about.length).toBeGreaterThan(3);
    expect(new Set(about.map((line) => line['requestId']))).toEqual(new Set([request]));
  }
  const told = serve.filter(({ msg, job }) => msg === 'event' && job === detail.job.id);
  expect(told.map(({ seq }) => seq)).toEqual(detail.events.map(({ seq }) => seq));
});

test('requests are told with their time; polls and heartbeats only where finer levels are wanted', () => {
  const requests = serve.filter(({ msg }) => msg === 'request');
  const pledge = requests.find(({ path, method }) => path === '/v1/sectors' && method === 'POST');
  expect(pledge).toMatchObject({ level: 30, status: 200, durationMs: expect.any(Number) });
  const polls = requests.filter(({ path }) => String(path).startsWith('/v1/runners/self/'));
  expect(polls.length).toBeGreaterThan(5);
  expect(new Set(polls.map(({ level }) => level))).toEqual(new Set([20]));
});
