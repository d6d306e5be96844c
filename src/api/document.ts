/** The OpenAPI document: what the routes say of themselves, with what every route of its kind can answer besides. */
import type { OpenAPIHono } from '@hono/zod-openapi';
import type { Env } from './parts.ts';
import { foldNamed } from './named-schemas.ts';

type Parameter = { in: string; name: string; required?: boolean; description?: string; schema: { type?: string | string[] } };
type Operation = {
  security?: unknown[];
  tags?: string[];
  parameters?: Parameter[];
  requestBody?: unknown;
  responses: Record<string, object>;
};

/** An SPDX expression; `identifier` is new in 3.1 and the types are of 3.0. */
const LICENSE = { name: 'Apache-2.0 OR MIT', identifier: 'Apache-2.0 OR MIT' };

/** What a group is about. One that is not listed is described by its name. */
const GROUPS: Readonly<Record<string, string>> = {
  sectors: 'Sector jobs: queue them, list them, see one with its history, act on it.',
  workers: 'The same jobs as workers and sealing_threads.',
  runners: 'Registered runners and the tokens they join with.',
  agents: 'What runners call themselves: register, next, heartbeat.',
  events: 'The append-only history, in pages or as a stream.',
  pieces: 'Client data on its way into sectors.',
  plans: 'The state tables that the engine runs.',
  settings: 'Settings that change while running.',
  tokens: 'API tokens and their roles.',
  backup: 'The database as one file.',
  webhooks: 'Where events are posted to, and what became of each delivery.',
  objects: 'What object storage holds that no job needs.',
  operations: 'Whether it lives and can serve.',
};

/** What a parameter of this name means on every route. */
const PARAMETERS: Readonly<Record<string, string>> = {
  ref: 'A job (j-…), or a sector by name (s-t01000-7): its live job, else its last.',
  id: 'Its id, as the listing shows it.',
  w: 'A worker, by its name or the address it was reached at before.',
  i: 'Index of the sealing_thread in its worker.',
  miner: 'A miner, t01000 or f01000.',
  state: 'Only jobs in this state.',
  plan: 'Only jobs of this plan.',
  paused: 'Only jobs that are paused, or only those that are not.',
  error: 'Only jobs whose last error has this code.',
  cursor: 'Where the page before ended, as it answered.',
  limit: 'Most items of one page.',
  after: 'Only events after this number.',
  type: 'One type of event, or several with commas between them.',
  sector: 'A job, or a sector by name.',
  runner: 'Only events of this runner.',
  delivery: 'A delivery, as the log of its webhook shows it.',
  reserved: 'A reserved piece is taken only by a request that names it.',
};

/** Refusals by status, as src/schema/problem.ts has them. */
const REFUSALS: Readonly<Record<number, string>> = {
  400: 'The request is not what this route takes; `detail` names the first field that is wrong.',
  401: 'The bearer token is missing, unknown or revoked.',
  403: 'The token may not do this.',
  404: 'It is not there, or belongs to somebody else; both look the same.',
  409: 'It cannot be done in the state that things are in.',
  412: 'It was changed since the ETag in If-Match was read; nothing was changed.',
  413: 'The body is larger than this route takes.',
  415: 'The body is not of the media type that this route takes.',
  422: 'The request is well formed and cannot be carried out as it is.',
  429: 'Too many requests; `Retry-After` says when to come back.',
  500: 'Something broke inside; nothing was changed. The log has the request id.',
  503: 'It cannot serve now; try again in a few seconds.',
};

/** Which refusals an operation can give follows from its shape. */
function refusalsOf(method: string, { security = [], parameters = [], requestBody }: Operation): number[] {
  const asked = parameters.length > 0 || requestBody !== undefined;
  const changes = method !== 'get';
  return [
    ...(asked ? [400, 404] : []),
    ...(security.length > 0 ? [401, 403] : []),
    ...(parameters.some(({ name }) => name === 'if-match') ? [412] : []),
    ...(requestBody === undefined ? [] : [413, 415]),
    ...(changes ? [409, 422] : []),
    429,
    500,
    503,
  ];
}

/** The whole document; `version` is the program's. */
export function describeApi(app: OpenAPIHono<Env>, version: string): object {
  const document = app.getOpenAPI31Document({
    openapi: '3.1.0',
    info: {
      title: 'Sealpool',
      version,
      description: 'Seals Filecoin sectors on machines that are rented by the hour. Refusals are RFC 9457 problems; each says what to do.',
      license: LICENSE,
    },
    servers: [{ url: '/', description: 'The control plane that serves this document' }],
  });
  const groups = new Set<string>();
  for (const item of Object.values(document.paths ?? {})) {
    for (const [method, operation] of Object.entries(item as unknown as Record<string, Operation>)) {
      for (const tag of operation.tags ?? []) groups.add(tag);
      complete(method, operation);
    }
  }
  document.tags = [...groups].toSorted().map((name) => ({ name, description: GROUPS[name] ?? `What is about ${name}.` }));
  const components = (document.components ??= {});
  components.headers = { RequestId: { description: 'Names this request in the log and in events.', schema: { type: 'string' } } };
  components.responses = Object.fromEntries(
    Object.entries(REFUSALS).map(([status, description]) => [`Refused${status}`, refusal(status, description)]),
  );
  return foldNamed(document);
}

function complete(method: string, operation: Operation): void {
  const { responses } = operation;
  for (const parameter of operation.parameters ?? []) {
    // A number is read from its text, which the description of the schema takes for something that may be left out.
    if (parameter.in === 'path') parameter.required = true;
    if (Array.isArray(parameter.schema.type)) parameter.schema.type = parameter.schema.type.find((type) => type !== 'null') ?? 'string';
    const known = Object.hasOwn(PARAMETERS, parameter.name) ? PARAMETERS[parameter.name] : undefined;
    if (known !== undefined) parameter.description ??= known;
  }
  for (const [status, answer] of Object.entries(responses) as [string, { description: string; headers?: object }][]) {
    responses[status] =
      Number(status) >= 400
        ? refusal(status, answer.description)
        : { ...answer, headers: { ...answer.headers, 'x-request-id': REQUEST_ID } };
  }
  for (const status of refusalsOf(method, operation)) responses[status] ??= { $ref: `#/components/responses/Refused${status}` };
}

const REQUEST_ID = { $ref: '#/components/headers/RequestId' };

function refusal(status: string, description: string) {
  const retry = { 'retry-after': { description: 'Seconds to wait.', schema: { type: 'string' } } } as const;
  const ask = { 'www-authenticate': { description: 'How to authenticate.', schema: { type: 'string' } } } as const;
  return {
    description,
    headers: {
      'x-request-id': REQUEST_ID,
      ...(status === '429' || status === '503' ? retry : {}),
      ...(status === '401' ? ask : {}),
    },
    content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
  };
}
