/** A whole seal through real processes, with the replay prover. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { SEALER } from '../../src/scheduler/plans/sealer.ts';
import { Deployment } from './processes.ts';

let deployment: Deployment;
afterEach(() => deployment.end());

test('a sector goes from Empty to Finished, each transition once and as the table says', { timeout: 120_000 }, async () => {
  deployment = await Deployment.start();
  await deployment.addRunner('one');
  const [job] = await deployment.pledge();
  const { job: finished, events, messages } = await deployment.finished(job as string);
  const transitions = events.filter(({ kind }) => kind === 'transition');
  expect(transitions.map(({ to }) => to)).toEqual(Object.keys(SEALER).filter((state) => state !== 'Empty' && state !== 'Aborted'));
  for (const { from, event, to } of transitions)
    expect((SEALER as Record<string, Record<string, string>>)[from as string]?.[event as string]).toBe(to);
  expect(messages.map(({ status }) => status)).toEqual(['done', 'done']);

  const { root, files } = finished.data.stored as { root: string; files: { path: string }[] };
  const sector = finished.sector as string;
  expect(files.map(({ path }) => path).sort()).toEqual([
    `cache/${sector}/p_aux`,
    `cache/${sector}/sc-02-data-tree-r-last.dat`,
    `cache/${sector}/sector.json`,
    `cache/${sector}/t_aux`,
    `sealed/${sector}`,
  ]);
  for (const { path } of files) expect(existsSync(join(root, path))).toBe(true);
  const kept = JSON.parse(readFileSync(join(root, 'cache', sector, 'sector.json'), 'utf8'));
  expect(kept).toMatchObject({
    miner: 't01000',
    sealProof: 'StackedDrg2KiBV1_1',
    ticket: finished.data.ticket,
    commR: finished.data.commR,
  });

  const onChain = await deployment.messages();
  expect(onChain.map(({ method, exitCode }) => [method, exitCode])).toEqual([
    [28, 0],
    [34, 0],
  ]);
});

test('a piece of a file goes into the sector; one byte more than fits is refused with the largest size', { timeout: 120_000 }, async () => {
  deployment = await Deployment.start();
  const { client } = deployment;
  await expect(client.addPiece('t01000', new Uint8Array(2033))).rejects.toMatchObject({
    problem: { status: 413, code: 'piece_too_large', extra: { largestBytes: 2032 } },
  });
  const piece = await client.addPiece('t01000', new Uint8Array(2032).fill(7));
  expect(piece).toMatchObject({ sizeBytes: '2032', paddedSizeBytes: '2048' });
  await deployment.addRunner('one');
  const [job] = await deployment.pledge();
  const { job: finished } = await deployment.finished(job as string);
  expect(finished.data.pieces.map(({ id }) => id)).toEqual([piece.id]);
  expect(finished.data.layout?.filter(({ filler }) => filler !== true)).toHaveLength(1);
});

test('a chain started as usual refuses the stand-in proof', { timeout: 120_000 }, async () => {
  deployment = await Deployment.start({ acceptReplay: false });
  await deployment.addRunner('one');
  const [job] = await deployment.pledge();
  const { job: stopped } = await deployment.until(job as string, ({ job: { paused, state } }) => paused || state === 'Finished');
  expect(stopped).toMatchObject({ paused: true, state: expect.stringMatching(/^C2Done|ProofSubmitted$/) });
});
