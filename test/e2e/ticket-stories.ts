/** The two repair stories of an expired ticket, told with the commands that users type. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { SectorDetail } from '../../src/api/client.ts';
import { Stage } from '../../src/schema/stage.ts';
import { Deployment, type DeploymentOptions, ROOT, cleanEnvironment } from './processes.ts';

/** More than the chain takes after a ticket was drawn: 2,880 epochs (chain facts). */
const A_DAY_EPOCHS = 2_900;

/** Runs a command as a user types it. */
export function type(deployment: Deployment, ...words: string[]): { status: number | null; stdout: string; stderr: string } {
  const [program = '', ...args] = words;
  const tokenFile = join(deployment.folder, 'data/admin.token');
  return spawnSync(join(ROOT, 'bin', program), [...args, '--url', deployment.url, '--token-file', tokenFile], {
    env: cleanEnvironment(),
    encoding: 'utf8',
    timeout: 60_000,
  });
}

/** A deployment whose first sector waits for PC2, for which there is no runner yet, while its ticket runs out. */
export async function overslept(options: DeploymentOptions, sectors: number): Promise<{ deployment: Deployment; jobs: string[] }> {
  const deployment = await Deployment.start(options);
  await deployment.addRunner('most', { stages: Stage.options.filter((stage) => stage !== 'PC2') });
  const jobs = await deployment.pledge(sectors);
  await deployment.until(jobs[0] as string, ({ job: { waiting } }) => waiting.for === 'runner' && waiting.stage === 'PC2');
  await deployment.control({ advance: A_DAY_EPOCHS });
  return { deployment, jobs };
}

/** The same, once the runner is there and the sector is paused. */
async function expired(
  options: DeploymentOptions,
  sectors: number,
): Promise<{ deployment: Deployment; jobs: string[]; detail: SectorDetail }> {
  const { deployment, jobs } = await overslept(options, sectors);
  await deployment.addRunner('pc2', { stages: ['PC2'] });
  return { deployment, jobs, detail: await deployment.until(jobs[0] as string, ({ job }) => job.paused) };
}

/** Where it is found: before PC2, or before the pre-commit where PC2 began within the second that the head is read in. */
export const FOUND_IN = /^PC[12]Done$/;

function pausedOverTicket({ job }: SectorDetail): void {
  expect(job).toMatchObject({ paused: true, error: { category: 'permanent', code: 'ticket_expired' } });
  expect(job.state).toMatch(FOUND_IN);
  expect(job.error?.message).toContain('TreeDBuilt');
  expect(job.error?.message).toContain('Aborted');
}

/** (a) Given up: the job is Aborted and its thread takes the next sector, which finishes. */
export async function givenUp(options: DeploymentOptions, withinMs?: number): Promise<Deployment> {
  const { deployment, jobs, detail } = await expired(options, 2);
  pausedOverTicket(detail);
  const done = type(deployment, 'sealpool', 'worker', 'resume', '--state', 'Aborted', '--index', '0');
  expect(done.stderr).toBe('');
  expect(done.status).toBe(0);
  expect((await deployment.client.sector(jobs[0] as string)).job.state).toBe('Aborted');
  const { job } = await deployment.finished(jobs[1] as string, withinMs);
  expect(job.thread).toBe('local/0');
  const messages = await deployment.messages();
  expect(messages.map(({ method }) => method)).toEqual([28, 34]);
  return deployment;
}

/** (b) A fresh ticket: the same sector goes on from TreeDBuilt and finishes. */
export async function freshTicket(options: DeploymentOptions, withinMs?: number): Promise<Deployment> {
  const { deployment, jobs, detail } = await expired(options, 1);
  pausedOverTicket(detail);
  const done = type(deployment, 'sealpool', 'worker', 'resume', '--state', 'TreeDBuilt', '--index', '0');
  expect(done.stderr).toBe('');
  expect(done.status).toBe(0);
  const { job } = await deployment.finished(jobs[0] as string, withinMs);
  expect(job.number).toBe(detail.job.number);
  expect(job.data.ticket?.epoch).toBeGreaterThan((detail.job.data.ticket?.epoch ?? 0) + A_DAY_EPOCHS - 1);
  expect(job.generation).toBe(detail.job.generation + 1);
  return deployment;
}
