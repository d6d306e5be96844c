/** Which executor an agent uses, what it tells of it, and a real stage in the prover's own image. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { proverWork, useAgent } from './agent-fixture.ts';
import { NEEDS_PODMAN, type Podman, hasPodman, startPodman } from './podman.ts';

const PROVER = join(import.meta.dirname, '../../bin/sealpool-prover');
const fixture = useAgent();
const told = () => fixture.plane.registrations.at(-1)?.resources.isolation;

test('without an image or an engine stages are processes', async () => {
  await fixture.start({ executor: { image: `x@sha256:${'0'.repeat(64)}`, socketPath: join(fixture.dir, 'none.sock') } });
  expect(told()).toMatchObject({ executor: 'process' });
  expect(fixture.log.map(({ message }) => message)).toContain(
    'there is an image for stages but no container engine; they run as processes',
  );
});

test('containers that cannot be are refused at the start, and no join token is used for it', async () => {
  const socketPath = join(fixture.dir, 'none.sock');
  await expect(fixture.start({ executor: { kind: 'container', socketPath } })).rejects.toThrow('name it with runner.container_image');
  const image = `x@sha256:${'0'.repeat(64)}`;
  await expect(fixture.start({ executor: { kind: 'container', socketPath, image } })).rejects.toThrow('no container engine answers');
  expect(fixture.plane.registrations).toEqual([]);
});

test('a user that is not there is refused', async () => {
  await expect(fixture.start({ executor: { kind: 'process', user: 'nobody-has-this-name' } })).rejects.toThrow('has no user');
});

describe.runIf(hasPodman && existsSync(PROVER))(`with an image (${NEEDS_PODMAN}, make prover)`, { timeout: 90_000 }, () => {
  let podman: Podman;
  let image = '';
  beforeAll(async () => {
    podman = await startPodman();
    image = await podman.buildProver(PROVER);
  }, 120_000);
  afterAll(async () => podman?.close(), 120_000);

  test('stages are containers by themselves, and the real prover does its work in one', async () => {
    await fixture.start({ executor: { image, socketPath: podman.socketPath } });
    expect(told()).toMatchObject({ executor: 'container', contains: expect.arrayContaining(['network', 'root']) });
    const pieces = [{ input: 'piece-0', paddedSizeBytes: '2048', cid: null }];
    const { attempt } = await fixture.plane.grant({
      stage: 'AddPiece',
      work: { ...proverWork({ pieces }), stage: 'add-piece' },
      inputs: { 'piece-0': Buffer.alloc(2000, 7) },
      outputs: { unsealed: 2048 },
    });
    const report = await fixture.reported(attempt);
    expect(report).toMatchObject({ outcome: 'done', outputs: [{ name: 'unsealed', sizeBytes: '2048' }] });
    expect(podman.run('ps', '--all', '--quiet')).toBe('');
  });
});
