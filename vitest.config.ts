/**
 * Four test projects. `node`: everything that runs in a Node process (the default of `npm test`).
 * `workerd`: what must also hold inside a Durable Object. `real`: what waits for real C2 proofs, which take all cores
 * for minutes, so nothing runs beside them, and what goes by moments that a busy machine misses. `soak`: hours, only in `make soak`.
 */
import { cloudflareTest } from '@cloudflare/vitest-plugin';
import { defineConfig } from 'vitest/config';

/** Its seeds take all cores too. */
const SIMULATOR = 'test/sim/sim.test.ts';
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
          exclude: ['test/workerd/**', 'test/real/**', 'test/soak/**', SIMULATOR, '**/node_modules/**'],
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
          include: ['test/real/**/*.test.ts', SIMULATOR],
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
