/** `runnerMain`: where the token comes from, and ending while nothing has begun. */
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type RunnerMainOptions, parseStorage, runnerMain } from '../../src/runners/main.ts';
import { STAGE_PROGRAM, eventually, proverWork, useAgent } from './agent-fixture.ts';

const fixture = useAgent();

function begin(options: Partial<RunnerMainOptions> = {}): { ended: Promise<unknown>; ready: string[]; end: () => void } {
  let end: () => void = () => undefined;
  const askedToEnd = new Promise<void>((resolve) => (end = resolve));
  const ready: string[] = [];
  const ended = runnerMain({
    url: fixture.plane.url,
    dataDir: fixture.dataDir,
    prover: STAGE_PROGRAM,
    storage: [`main=${fixture.storage.path}`],
    environment: process.env,
    log: (level, message) => fixture.log.push({ level, message }),
    onReady: ({ runnerId }) => ready.push(runnerId),
    askedToEnd,
    ...options,
  });
  ended.catch(() => undefined);
  return { ended, ready, end };
}

test('the token comes from a file, which may be gone once the runner has registered; being asked it ends', async () => {
  const joinTokenFile = join(fixture.dir, 'join.token');
  await writeFile(joinTokenFile, `${fixture.plane.newToken()}\n`);
  const first = begin({ joinTokenFile });
  await eventually(() => first.ready).toHaveLength(1);
  first.end();
  await first.ended;
  await rm(joinTokenFile);
  const second = begin({ joinTokenFile });
  await eventually(() => second.ready).toEqual(first.ready);
  const grant = await fixture.plane.grant({ work: proverWork({ do: 'copy' }) });
  expect(await fixture.reported(grant.attempt)).toMatchObject({ outcome: 'done' });
  second.end();
  await second.ended;
});

test('asked to end while it waits for its control plane, it ends and keeps its token', async () => {
  await fixture.plane.unreachable();
  const joinToken = fixture.plane.newToken();
  const { ended, ready, end } = begin({ joinToken });
  await eventually(() => fixture.log.some(({ message }) => message.startsWith('registering'))).toBe(true);
  end();
  await ended;
  expect([ready, fixture.plane.joinTokens.has(joinToken)]).toEqual([[], true]);
  expect((await readdir(fixture.dataDir)).filter((name) => name.endsWith('.sock'))).toEqual([]);
  await fixture.plane.listen();
});

test('what it is started with is checked first', async () => {
  await expect(begin({ slots: 0 }).ended).rejects.toThrow('1 to 32 slots');
  await expect(begin({ storage: ['/mnt/x'] }).ended).rejects.toThrow('is not ID=PATH');
  await expect(begin().ended).rejects.toThrow('no join token');
  await mkdir(join(fixture.dir, 'm'));
  expect(parseStorage(`m=${fixture.dir}/m`)).toEqual({ id: 'm', path: join(fixture.dir, 'm') });
});
