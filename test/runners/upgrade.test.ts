/** Other software waits: the agent finishes what it has, and ends as one that is to be started anew. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Software } from '../../src/schema/runner.ts';
import { eventually, proverWork, useAgent } from './agent-fixture.ts';

const fixture = useAgent();
const hash = (digit: string): string => `sha256:${digit.repeat(64)}`;
const SOFTWARE: Software = { version: '1', arch: process.arch, agent: hash('1'), upgrades: true };
const OTHER = { agent: hash('2'), prover: hash('3') };

test('a stage in flight finishes and is reported, nothing new is taken, then it ends as to be upgraded', async () => {
  const agent = await fixture.start({ software: SOFTWARE, slots: 2 });
  const file = join(fixture.dir, 'go-on');
  const grant = await fixture.plane.grant({ work: proverWork({ do: 'wait-for', file, output: 'made' }), outputs: { made: 10 } });
  await eventually(() => fixture.plane.heartbeats.at(-1)?.attempts.length).toBe(1);
  expect(fixture.plane.nexts.at(-1)?.software).toEqual(SOFTWARE);
  fixture.plane.upgrade = OTHER;
  // The poll that is held open is answered with a stage and the news.
  const other = await fixture.plane.grant({ work: proverWork({ do: 'copy' }) });
  await fixture.reported(other.attempt);
  const asked = fixture.plane.nexts.length;
  const late = await fixture.plane.grant({ work: proverWork({ do: 'copy' }) });
  const beats = fixture.plane.heartbeats.length;
  await eventually(() => fixture.plane.heartbeats.length).toBeGreaterThan(beats + 3);
  for (const { freeSlots, reports } of fixture.plane.nexts.slice(asked)) expect([freeSlots, reports.length]).toEqual([0, 1]);
  await writeFile(file, '');
  await expect(agent.ended).resolves.toBe('upgrade');
  expect(fixture.plane.reportOf(grant.attempt)).toMatchObject({ outcome: 'done' });
  expect(fixture.plane.reportOf(late.attempt)).toBeUndefined();
});

test('one with nothing to do ends at once; started anew with the other software it is the same runner', async () => {
  fixture.plane.upgrade = OTHER;
  fixture.plane.pollMs = 100;
  const agent = await fixture.start({ software: SOFTWARE });
  await expect(agent.ended).resolves.toBe('upgrade');
  fixture.plane.upgrade = undefined;
  const again = await fixture.start({ software: { ...SOFTWARE, version: '2', agent: OTHER.agent }, joinToken: undefined });
  expect(again.runnerId).toBe(agent.runnerId);
  await eventually(() => fixture.plane.nexts.at(-1)?.software?.version).toBe('2');
  expect(fixture.plane.registrations).toHaveLength(1);
});

test('asked to stop while it drains, it stops', async () => {
  const agent = await fixture.start({ software: SOFTWARE });
  const grant = await fixture.plane.grant({ work: proverWork({ do: 'wait-for', file: join(fixture.dir, 'never') }) });
  await eventually(() => fixture.plane.heartbeats.at(-1)?.attempts.length).toBe(1);
  fixture.plane.upgrade = OTHER;
  const other = await fixture.plane.grant({ work: proverWork({ do: 'copy' }) });
  await fixture.reported(other.attempt);
  await agent.stop();
  await expect(agent.ended).resolves.toBe('stopped');
  expect(fixture.plane.reportOf(grant.attempt)).toMatchObject({ code: 'interrupted' });
});

test('one that nobody would start again says so once and goes on', async () => {
  fixture.plane.upgrade = OTHER;
  await fixture.start({ software: { ...SOFTWARE, upgrades: false } });
  for (let at = 0; at < 2; at++) {
    const grant = await fixture.plane.grant({ work: proverWork({ do: 'copy' }) });
    expect(await fixture.reported(grant.attempt)).toMatchObject({ outcome: 'done' });
  }
  expect(fixture.log.filter(({ message }) => message.includes('other software'))).toHaveLength(1);
});

test('one of a checkout tells nothing of its software', async () => {
  await fixture.start();
  await eventually(() => fixture.plane.nexts.length).toBeGreaterThan(0);
  expect(fixture.plane.nexts[0]).not.toHaveProperty('software');
});
