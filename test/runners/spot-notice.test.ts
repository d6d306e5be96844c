/** SIGTERM, as before a spot instance is taken away: what only has to be sent is sent, the rest goes back at once. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { eventually, isRunning, proverWork, useAgent } from './agent-fixture.ts';
import { heldStore } from './held-store.ts';

const fixture = useAgent();
const making = (size: number) => ({ work: proverWork({ do: 'output', outputs: [{ name: 'sealed', size }] }), outputs: { sealed: size } });

test('outputs that are being sent are sent and reported; what still runs is handed back at once', async () => {
  const gate = await heldStore(fixture.plane);
  const agent = await fixture.start({ slots: 2 });
  const started = join(fixture.dir, 'started');
  const running = await fixture.plane.grant({ work: proverWork({ do: 'hang', started }) });
  const sending = await fixture.plane.grant({ ...making(200_000), edit: gate.through });
  await eventually(() => readFile(started, 'utf8').catch(() => '')).not.toBe('');
  const pid = Number(await readFile(started, 'utf8'));
  await eventually(() => gate.held()).toBeGreaterThan(0);
  const ended = agent.stop();
  await eventually(() => isRunning(pid)).toBe(false);
  // Its lease is kept meanwhile.
  const beats = fixture.plane.heartbeats.length;
  await eventually(() => fixture.plane.heartbeats.length).toBeGreaterThan(beats + 2);
  expect(fixture.plane.heartbeats.at(-1)?.attempts.map(({ attempt }) => attempt)).toContain(sending.attempt);
  gate.open();
  await ended;
  const report = await fixture.reported(sending.attempt);
  expect(report).toMatchObject({ outcome: 'done' });
  expect(await fixture.plane.output(report, 'sealed')).toHaveLength(200_000);
  expect(fixture.plane.reportOf(running.attempt)).toMatchObject({ outcome: 'failed', code: 'interrupted' });
});

test('each is told of as it ends, and waits for no other: the machine may be gone before those have ended', async () => {
  const [slow, quick] = [await heldStore(fixture.plane), await heldStore(fixture.plane)];
  const agent = await fixture.start({ slots: 3 });
  const started = join(fixture.dir, 'started');
  const running = await fixture.plane.grant({ work: proverWork({ do: 'hang', started }) });
  const [held, sent] = [
    await fixture.plane.grant({ ...making(20), edit: slow.through }),
    await fixture.plane.grant({ ...making(10), edit: quick.through }),
  ];
  await eventually(() => readFile(started, 'utf8').catch(() => '')).not.toBe('');
  await eventually(() => [slow.held(), quick.held()]).toEqual([1, 1]);
  const ended = agent.stop();
  expect(await fixture.reported(running.attempt)).toMatchObject({ outcome: 'failed', code: 'interrupted' });
  quick.open();
  expect(await fixture.reported(sent.attempt)).toMatchObject({ outcome: 'done' });
  expect(fixture.plane.reportOf(held.attempt)).toBeUndefined();
  // One that is put off is told of again, as long as there is time.
  fixture.plane.statuses.set(held.attempt, ['retry_later']);
  slow.open();
  await ended;
  expect(fixture.plane.reports.filter(({ attempt }) => attempt === held.attempt)).toHaveLength(2);
  expect(fixture.plane.reports).toHaveLength(4);
});

test('an upload that does not end in time is handed back as well', async () => {
  const gate = await heldStore(fixture.plane);
  const agent = await fixture.start({ lastUploadsMs: 50 });
  const { attempt } = await fixture.plane.grant({ ...making(10), edit: gate.through });
  await eventually(() => gate.held()).toBe(1);
  await agent.stop();
  expect(fixture.plane.reportOf(attempt)).toMatchObject({ outcome: 'failed', code: 'interrupted' });
});
