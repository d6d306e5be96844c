/** What an engine is asked for, what it may answer, and how its stream is read. */
import { mkdtempSync, mkdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { agree } from '../../src/runners/container-engine.ts';
import { type ContainerSpec, containerBody } from '../../src/runners/container-spec.ts';
import { demultiplexer } from '../../src/runners/container-stream.ts';

const stage = {
  program: 'unused',
  args: ['run'],
  workDir: '/data/work/a-1',
  request: '',
  signal: new AbortController().signal,
  onLine: () => undefined,
};
const spec: ContainerSpec = {
  id: '00000000000000d1',
  image: 'stage@sha256:0',
  user: '65532:65532',
  keepId: false,
  isPodman: false,
  limits: { processes: 100 },
  environment: {},
};
const asked = (more: Partial<ContainerSpec>) =>
  containerBody({ ...spec, ...more }, stage) as { Env: string[]; HostConfig: Record<string, unknown> & { Binds: string[] } };

test('the newest version that both know is spoken; an engine that is too old, or knows only newer ones, is refused', () => {
  expect(agree('1.41', '1.24')).toBe('1.41');
  expect(agree('1.52', '1.44')).toBe('1.47');
  expect(agree('1.39', '1.12')).toBeUndefined();
  expect(agree('1.60', '1.48')).toBeUndefined();
});

test('cards are asked for as each engine hands them out', () => {
  expect(asked({ gpus: 'all' }).HostConfig).toMatchObject({ DeviceRequests: [{ Driver: 'nvidia', Count: -1, Capabilities: [['gpu']] }] });
  expect(asked({ gpus: [0, 2] }).HostConfig).toMatchObject({ DeviceRequests: [{ DeviceIDs: ['0', '2'] }] });
  const device = { PathOnHost: 'nvidia.com/gpu=1', PathInContainer: '', CgroupPermissions: '' };
  expect(asked({ gpus: [1], isPodman: true }).HostConfig).toMatchObject({ Devices: [device] });
  for (const gpus of [undefined, []]) expect(Object.keys(asked({ gpus }).HostConfig)).not.toContain('DeviceRequests');
});

test('cores and limits are passed on, a Podman without root keeps the user', () => {
  const { HostConfig } = asked({ cpus: 1.5, cpuset: '0-3', keepId: true, limits: { processes: 7, memoryBytes: 2 ** 30, workBytes: 1000 } });
  expect(HostConfig).toMatchObject({
    NanoCpus: 1_500_000_000,
    CpusetCpus: '0-3',
    UsernsMode: 'keep-id',
    PidsLimit: 7,
    Memory: 2 ** 30,
    MemorySwap: 2 ** 30,
  });
  expect(HostConfig['Ulimits']).toContainEqual({ Name: 'fsize', Soft: 1000, Hard: 1000 });
});

test('parameters are there to read, and of the environment only what names them', () => {
  const folder = mkdtempSync(join(tmpdir(), 'spec-'));
  try {
    mkdirSync(join(folder, '.cache/sealpool'), { recursive: true });
    mkdirSync(join(folder, 'parents'));
    const { Env, HostConfig } = asked({
      environment: {
        HOME: folder,
        PATH: '/bin',
        SEALPOOL_TOKEN: 'secret',
        FIL_PROOFS_PARENT_CACHE: join(folder, 'parents'),
        FIL_PROOFS_USE_GPU: '1',
      },
    });
    expect(HostConfig.Binds).toEqual([
      '/data/work/a-1:/work:rw',
      `${folder}/parents:${folder}/parents:ro`,
      `${folder}/.cache/sealpool:/cache/sealpool:ro`,
    ]);
    expect(Env.toSorted()).toEqual(
      [
        'HOME=/work',
        'TMPDIR=/tmp',
        'XDG_CACHE_HOME=/cache',
        `FIL_PROOFS_PARENT_CACHE=${folder}/parents`,
        'FIL_PROOFS_USE_GPU=1',
      ].toSorted(),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('however the stream is cut, each byte reaches the output it belongs to', () => {
  const frame = fc.record({ to: fc.constantFrom(1, 2), bytes: fc.uint8Array({ maxLength: 20 }) });
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 10 }), fc.array(fc.nat(30), { maxLength: 40 }), (frames, cuts) => {
      const whole = Buffer.concat(
        frames.flatMap(({ to, bytes }) => {
          const header = Buffer.alloc(8);
          header[0] = to;
          header.writeUInt32BE(bytes.length, 4);
          return [header, bytes];
        }),
      );
      const got: Record<1 | 2, Buffer[]> = { 1: [], 2: [] };
      const take = demultiplexer(
        (bytes) => got[1].push(bytes),
        (bytes) => got[2].push(bytes),
      );
      let at = 0;
      for (const size of [...cuts, whole.length]) {
        take(whole.subarray(at, at + size));
        at = Math.min(at + size, whole.length);
      }
      for (const to of [1, 2] as const) {
        const wanted = Buffer.concat(frames.filter((frame) => frame.to === to).map(({ bytes }) => bytes));
        expect(Buffer.concat(got[to]).equals(wanted)).toBe(true);
      }
    }),
  );
});
