/** `runners show`: what is told of a machine, and nothing that steers a terminal. */
import { expect, test } from 'vitest';
import type { RunnerView } from '../../src/api/client.ts';
import { runnerText } from '../../src/cli/commands/runner-show.ts';
import { RunnerId } from '../../src/schema/ids.ts';

const GIB = 2 ** 30;
const CARD = { model: 'NVIDIA A100', vramBytes: 40 * GIB, driver: '550.54.15' };
const RUNNER: RunnerView = {
  id: RunnerId.parse('r-0123456789ab'),
  name: 'gpu\u001b[31m',
  trust: 'rented',
  labels: ['gpu'],
  stages: ['PC2', 'C2'],
  storage: [],
  resources: { cores: 16, ramBytes: 96.5 * GIB, diskFreeBytes: 1000, gpus: [CARD, CARD, { model: 'NVIDIA GB10', vramBytes: 0 }] },
  status: 'ready',
  reason: null,
  strikes: 0,
  lastSeenMs: 0,
  registeredMs: 0,
  agentVersion: '1.2',
  tests: {},
  running: [],
};

test('cards of a kind are counted; what was not told is left out', () => {
  const lines = runnerText(RUNNER).split('\n');
  const said = lines.map((line) => line.split(/ {2,}/));
  expect(said).toContainEqual(['version', '1.2']);
  expect(said).toContainEqual(['memory', '96.5 GiB']);
  expect(said).toContainEqual(['free disk', '1000 B']);
  expect(said).toContainEqual(['GPU', '2 × NVIDIA A100, 40 GiB, driver 550.54.15']);
  expect(said).toContainEqual(['GPU', '1 × NVIDIA GB10, VRAM not told']);
  expect(runnerText(RUNNER)).not.toMatch(/\u001b|NUMA|huge|object store/);
});

test('all of it', () => {
  const network = { downBytesPerS: 125 * 2 ** 20, upBytesPerS: 2 ** 20, measuredMs: 0 };
  const isolation = { executor: 'container' as const, contains: ['network', 'memory'] };
  const tests = {
    PC2: { passed: true, atMs: 0, durationMs: 1_500, reason: null },
    C2: { passed: false, atMs: 0, durationMs: 10, reason: 'another CommR' },
  };
  const resources = {
    ...RUNNER.resources,
    isolation,
    gpus: [],
    numaNodes: 2,
    hugepages: [{ sizeBytes: GIB, total: 64, free: 60 }],
    network,
  };
  const text = runnerText({ ...RUNNER, agentVersion: null, tests, resources });
  for (const line of [
    /version +not told/,
    /GPU +none/,
    /NUMA nodes +2/,
    /huge pages +64 of 1 GiB, 60 free/,
    /from object store +125 MiB\/s/,
    /to object store +1 MiB\/s/,
    /stages run in +container, keeping from them: network memory/,
    /self-test +PC2 passed in 1.5 s/,
    /self-test +C2 failed: another CommR/,
  ])
    expect(text).toMatch(line);
});
