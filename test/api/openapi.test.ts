/** /openapi.json: Redocly's recommended rules find nothing, and it says of every operation what it can answer. */
import { readFileSync } from 'node:fs';
import { createConfig, lintFromString } from '@redocly/openapi-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ApiWorld } from './api-world.ts';

type Operation = { operationId: string; security: unknown[]; responses: Record<string, unknown>; 'x-sealpool-who': string };
type Document = {
  info: { version: string };
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, unknown> };
};

let world: ApiWorld;
let text: string;
let document: Document;

beforeAll(async () => {
  world = await ApiWorld.open();
  text = (await world.call('GET', '/openapi.json')).text;
  document = JSON.parse(text);
});
afterAll(() => world.close());

const operations = () => Object.values(document.paths).flatMap((item) => Object.values(item));

test("Redocly's recommended rules have no error and no warning", async () => {
  const config = await createConfig({
    extends: ['recommended'],
    rules: {
      // /v1/sectors/export beside /v1/sectors/{ref}: OpenAPI 3.1 matches concrete paths before templated ones.
      'no-ambiguous-paths': 'off',
    },
  });
  const found = await lintFromString({ source: text, absoluteRef: 'openapi.json', config });
  expect(found.map(({ ruleId, message, location }) => `${ruleId}: ${message} ${location[0]?.pointer}`)).toEqual([]);
});

test('the rules are at work: a document without operationIds has findings', async () => {
  const broken = structuredClone(document);
  for (const item of Object.values(broken.paths))
    for (const operation of Object.values(item)) Reflect.deleteProperty(operation, 'operationId');
  const config = await createConfig({ extends: ['recommended'] });
  const found = await lintFromString({ source: JSON.stringify(broken), absoluteRef: 'openapi.json', config });
  expect(found.map(({ ruleId }) => ruleId)).toContain('operation-operationId');
});

test('it is of the version in package.json', () => {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  expect(document.info.version).toBe(version);
});

test('operationIds are unique, open routes say that they are open, and the others tell of 401 and 403', () => {
  const ids = operations().map(({ operationId }) => operationId);
  expect(new Set(ids).size).toBe(ids.length);
  for (const { operationId, security, responses, 'x-sealpool-who': who } of operations()) {
    expect(security, operationId).toEqual(who === 'none' ? [] : [{ bearer: [] }]);
    if (who === 'none') continue;
    expect(
      ['401', '403'].map((status) => status in responses),
      operationId,
    ).toEqual([true, true]);
  }
});

test('views, requests and problems are named once and referred to', () => {
  expect(Object.keys(document.components.schemas)).toEqual(expect.arrayContaining(['SectorView', 'PledgeRequest', 'Event', 'Problem']));
  expect(text.match(/"#\/components\/schemas\/SectorView"/g)?.length).toBeGreaterThan(3);
});

test('what is no JSON is described as what it is', () => {
  expect(document.paths['/v1/pieces']?.['post']).toMatchObject({ requestBody: { content: { 'application/octet-stream': {} } } });
  expect(document.paths['/v1/backup']?.['post']?.responses['200']).toMatchObject({ content: { 'application/vnd.sqlite3': {} } });
  expect(document.paths['/v1/events']?.['get']?.responses['200']).toMatchObject({
    content: { 'application/json': {}, 'text/event-stream': {} },
  });
});

test('a method that a path does not take is a 405 with Allow, a body that is no JSON a 415', async () => {
  const wrong = await world.call('DELETE', '/v1/sectors', { token: world.admin });
  expect([wrong.status, wrong.type, wrong.headers.get('allow')]).toEqual([405, 'application/problem+json', 'GET, HEAD, POST']);
  const form = await world.call('POST', '/v1/sectors', {
    token: world.admin,
    raw: 'plan=sealer',
    headers: { 'content-type': 'text/plain' },
  });
  expect([form.status, form.type]).toEqual([415, 'application/problem+json']);
});

test.each([
  ['/v1/sectors/export?cursor=0', 'invalid_request'],
  ['/v1/sectors?cursor=x', 'invalid_request'],
  ['/v1/events?type=sector.created,none', 'invalid_request'],
  ['/v1/events?after=', 'invalid_request'],
])('%s, which broke inside or said little, is a 400', async (path, code) => {
  const { status, json } = await world.call('GET', path, { token: world.admin });
  expect([status, (json as { code: string }).code]).toEqual([400, code]);
});

test('a body that must be there and is not is a 400, a written path is no pattern in Allow, a wrong join token is described', async () => {
  expect((await world.call('PATCH', '/v1/settings', { token: world.admin })).status).toBe(400);
  const get = await world.call('GET', '/v1/sectors/import', { token: world.admin });
  expect([get.status, get.headers.get('allow')]).toEqual([405, 'POST']);
  expect(document.paths['/v1/runners/register']?.['post']?.responses).toHaveProperty('401');
});
