/**
 * Names in the OpenAPI document: every schema that views and requests export is a component, and stands elsewhere
 * as a reference to it. Found by what they describe, so that a new export needs no word here and the schemas,
 * which client and CLI share, need no package of the description.
 */
import { OpenAPIHono } from '@hono/zod-openapi';
import { z } from 'zod';
import { Event } from '../schema/event.ts';
import { Collected, Garbage } from '../schema/garbage.ts';
import { Problem } from '../schema/problem.ts';
import * as inventory from './inventory.ts';
import * as requests from './requests.ts';
import * as views from './views.ts';

const NAMED: Readonly<Record<string, unknown>> = { ...views, ...requests, ...inventory, Collected, Event, Garbage, Problem };

type Json = Record<string, unknown>;
const TYPE = 'application/json';

/** What each named schema looks like where it is used: as the answer of a route that is only described. */
function described(): Map<string, Json> {
  const probe = new OpenAPIHono();
  for (const [name, schema] of Object.entries(NAMED)) {
    // Queries are spread over parameters and are no schema of their own.
    if (!(schema instanceof z.ZodObject) || name.endsWith('Query')) continue;
    const responses = { 200: { description: name, content: { [TYPE]: { schema } } } };
    probe.openAPIRegistry.registerPath({ method: 'get', path: `/${name}`, responses });
  }
  const { paths = {} } = probe.getOpenAPI31Document({ openapi: '3.1.0', info: { title: '', version: '' } });
  return new Map(
    Object.entries(paths).map(([path, item]) => {
      const answer = item.get?.responses?.['200'] as { content: { [TYPE]: { schema: Json } } };
      return [path.slice(1), answer.content[TYPE].schema];
    }),
  );
}

const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null;

/** Whole numbers end where JSON's lose digits, which the schemas check and their description leaves out. Changes `value`. */
function bound(value: unknown): void {
  if (!isObject(value)) return;
  if (value['type'] === 'integer') {
    if (value['exclusiveMaximum'] === undefined) value['maximum'] ??= Number.MAX_SAFE_INTEGER;
    if (value['exclusiveMinimum'] === undefined) value['minimum'] ??= Number.MIN_SAFE_INTEGER;
  }
  for (const item of Object.values(value)) bound(item);
}

/** The document with named schemas in its components. */
export function foldNamed(document: object): object {
  const named = described();
  for (const schema of [document, ...named.values()]) bound(schema);
  const names = new Map([...named].map(([name, schema]) => [JSON.stringify(schema), name]));
  const fold = (value: unknown, own?: string): unknown => {
    if (Array.isArray(value)) return value.map((item) => fold(item));
    if (!isObject(value)) return value;
    const name = names.get(JSON.stringify(value));
    if (name !== undefined && name !== own) return { $ref: `#/components/schemas/${name}` };
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fold(item)]));
  };
  const folded = fold(document) as Json;
  const components = folded['components'] as Json;
  const schemas = Object.fromEntries([...named].map(([name, schema]) => [name, fold(schema, name)]));
  const text = JSON.stringify([folded['paths'], schemas]) + '#/components/schemas/Problem"';
  // A name that nothing refers to is left out.
  components['schemas'] = Object.fromEntries(Object.entries(schemas).filter(([name]) => text.includes(`#/components/schemas/${name}"`)));
  return folded;
}
