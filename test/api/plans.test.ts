/** `GET /v1/plans` serves the very tables that the engine runs; test/scheduler/plans.test.ts holds those against the flows, typed by hand. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { planTables } from '../../src/scheduler/plans/all.ts';
import { ApiWorld } from './api-world.ts';

let world: ApiWorld;
beforeAll(async () => {
  world = await ApiWorld.open();
});
afterAll(() => world.close());

test('the tables of all four plans, and no other plan', async () => {
  const { status, json } = await world.call('GET', '/v1/plans', { token: world.admin });
  expect(status).toBe(200);
  expect(json).toEqual(planTables());
  expect(Object.keys(json as object)).toEqual(['sealer', 'snapup', 'rebuild', 'unseal']);
});
