/**
 * Four test projects. `node`: everything that runs in a Node process (the default of `npm test`).
 * `workerd`: what must also hold inside a Durable Object. `real`: what waits for real C2 proofs, which take all cores
 * for minutes, so nothing runs beside them, and what goes by moments that a busy machine misses. `soak`: hours, only in `make soak`.
 */
import { cloudflareTest } from '@cloudflare/vitest-plugin';
import { defineConfig } from 'vitest/config';

/** What takes all cores too, fills memory and disks on purpose, or shares podman's one store. */
const ALONE = [
  'test/sim/sim.test.ts',
  'test/fleet/**/*.test.ts',
  'test/e2e/chaos.test.ts',
  'test/e2e/runner-containers.test.ts',
  'test/runners/{container,process}-executor.test.ts',
  'test/runners/container-engine.test.ts',
  'test/runners/open-executor.test.ts',
];
const QUICK_TEST_MS = 20_000;
const REAL_TEST_MS = 20 * 60_000;
const SOAK_TEST_MS = 4 * 3_600_000;

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'node',
          include: ['test/**/*.test.ts'],
          exclude: ['test/workerd/**', 'test/real/**', 'test/soak/**', ...ALONE, '**/node_modules/**'],
          testTimeout: QUICK_TEST_MS,
          hookTimeout: QUICK_TEST_MS,
          // Tests start servers and provers of their own; more than two at a time only fight for two cores.
          maxWorkers: 2,
        },
      },
      {
        plugins: [cloudflareTest({ wrangler: { configPath: './wrangler.toml' } })],
        test: {
          name: 'workerd',
          include: ['test/workerd/**/*.test.ts'],
          testTimeout: QUICK_TEST_MS,
          hookTimeout: QUICK_TEST_MS,
        },
      },
      {
        test: {
          name: 'real',
          include: ['test/real/**/*.test.ts', ...ALONE],
          testTimeout: REAL_TEST_MS,
          hookTimeout: QUICK_TEST_MS,
          maxWorkers: 1,
        },
      },
      {
        test: {
          name: 'soak',
          include: ['test/soak/**/*.test.ts'],
          testTimeout: SOAK_TEST_MS,
          hookTimeout: QUICK_TEST_MS,
          maxWorkers: 1,
        },
      },
    ],
  },
});
