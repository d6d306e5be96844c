/**
 * Three test projects. `node`: everything that runs in a Node process (the default of `npm test`).
 * `workerd`: what must also hold inside a Durable Object. `soak`: hours, only in `make soak`.
 */
import { cloudflareTest } from '@cloudflare/vitest-plugin';
import { defineConfig } from 'vitest/config';

const QUICK_TEST_MS = 20_000;
const SOAK_TEST_MS = 4 * 3_600_000;

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'node',
          include: ['test/**/*.test.ts'],
          exclude: ['test/workerd/**', 'test/soak/**', '**/node_modules/**'],
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
