/**
 * The configuration: flags before environment before the TOML file before defaults. This is the only
 * reader of the environment. A key that is not known is an error that names the nearest known one.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parse } from 'smol-toml';
import { SealpoolError } from '../schema/problem.ts';
import { WORK_MARKER } from '../runners/processes.ts';
import { type Config, KEYS, type KeyName } from './config-keys.ts';

export type { Config } from './config-keys.ts';

const PREFIX = 'SEALPOOL_';
const NAMES = Object.keys(KEYS) as KeyName[];
/** Secrets that are given as they are, or by a file that holds them. */
const SECRETS = NAMES.filter((name) => Object.hasOwn(KEYS, `${name}_file`));

/** Variables that `sealpool-prover` reads, and what a stage and all that it starts is marked with. */
const NO_KEYS = new Set(['SEALPOOL_DEV_PARAMETERS', 'SEALPOOL_PARAM_GATEWAYS', WORK_MARKER]);
/** What Kubernetes tells every container of the services around it, where one's name begins with ours. */
const SERVICE_LINK = /_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$/;
const SERVICE_URL = /^(tcp|udp|sctp):\/\//;

export type ConfigSources = {
  /** Values of flags by dotted name; they count most. */
  readonly flags?: Readonly<Partial<Record<KeyName, unknown>>>;
  /** Default: the process's environment. */
  readonly env?: Readonly<Record<string, string | undefined>>;
};

const refuse = (message: string): SealpoolError => new SealpoolError('bad_request', 'configuration', message);

/** How a key is spelled in the environment. */
export function envName(key: string): string {
  return PREFIX + key.replaceAll('.', '_').toUpperCase();
}

/** Reads all sources; `config` of the answer is the absolute path of the file that was read, if any. Throws `configuration` with the first thing that is wrong. */
export function loadConfig(sources: ConfigSources = {}): Config {
  const flags = Object.fromEntries(Object.entries(sources.flags ?? {}).filter(([, value]) => value !== undefined));
  const env = environment(sources.env ?? process.env);
  const data = String(flags.data ?? env.get('data') ?? KEYS.data.parse(undefined));
  const named = flags.config ?? env.get('config');
  const file = named === undefined ? join(data, 'sealpool.toml') : String(named);
  if (named !== undefined && !existsSync(file)) throw refuse(`the configuration file ${file} is not there; name one that is with --config`);
  const isThere = existsSync(file);
  const fromFile = isThere ? tomlKeys(file) : new Map<KeyName, unknown>();
  /** Place of the source that names the key; the lower counts more. */
  const source = (name: KeyName): number => (name in flags ? 0 : env.has(name) ? 1 : fromFile.has(name) ? 2 : 3);
  const overruled = new Set(
    SECRETS.flatMap((name) => {
      const ahead = source(name) - source(`${name}_file` as KeyName);
      return ahead === 0 ? [] : [ahead < 0 ? `${name}_file` : name];
    }),
  );
  const values = NAMES.map((name) => {
    if (overruled.has(name)) return [name, undefined];
    if (name in flags) return [name, checked(name, flags[name], `--${name}`)];
    const raw = env.get(name);
    if (raw !== undefined) return [name, checkedText(name, raw)];
    return [name, checked(name, fromFile.get(name), `${name} in ${file}`)];
  });
  return { ...(Object.fromEntries(values) as Config), config: isThere ? resolve(file) : undefined };
}

function checked(name: KeyName, value: unknown, where: string): unknown {
  const parsed = KEYS[name].safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const path = issue?.path.join('.') ?? '';
  throw refuse(`${where}${path === '' ? '' : ` (${path})`}: ${issue?.message ?? 'not a value it takes'}; mend it and start again`);
}

/** A text of the environment: as it is where the key takes text, else read as a TOML value, else as JSON. */
function checkedText(name: KeyName, raw: string): unknown {
  const plain = KEYS[name].safeParse(raw);
  if (plain.success) return plain.data;
  let value: unknown = raw;
  try {
    value = parse(`value = ${raw}`).value;
  } catch {
    value = jsonOf(raw);
  }
  return checked(name, value, envName(name));
}

/** The value; text that is no JSON either stays as it is, and the check says what the key takes. */
function jsonOf(raw: string): unknown {
  try {
    return JSON.parse(raw);
  } catch {
    return raw;
  }
}

function environment(env: Readonly<Record<string, string | undefined>>): Map<KeyName, string> {
  const known = new Map(NAMES.map((name) => [envName(name), name]));
  const found = new Map<KeyName, string>();
  for (const [variable, value] of Object.entries(env)) {
    if (!variable.startsWith(PREFIX) || value === undefined) continue;
    const name = known.get(variable);
    if (isOfOthers(variable, value)) continue;
    if (name === undefined)
      throw refuse(`${variable} is no key of the configuration; did you mean ${nearest(variable, [...known.keys()])}?`);
    found.set(name, value);
  }
  return found;
}

/** Variables that begin as ours do and say nothing to us. */
function isOfOthers(variable: string, value: string): boolean {
  return NO_KEYS.has(variable) || SERVICE_LINK.test(variable) || (variable.endsWith('_PORT') && SERVICE_URL.test(value));
}

function tomlKeys(file: string): Map<KeyName, unknown> {
  let document: Record<string, unknown>;
  try {
    document = parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw refuse(
      `${file} is not valid TOML: ${(error instanceof Error ? error.message : String(error)).split('\n')[0]}; mend it and start again`,
    );
  }
  const found = new Map<KeyName, unknown>();
  const visit = (table: Record<string, unknown>, prefix: string): void => {
    for (const [key, value] of Object.entries(table)) {
      const name = prefix + key;
      if (NAMES.includes(name as KeyName)) found.set(name as KeyName, value);
      else if (isTable(value) && NAMES.some((known) => known.startsWith(`${name}.`))) visit(value, `${name}.`);
      else throw refuse(`${name} in ${file} is no key of the configuration; did you mean ${nearest(name, NAMES)}?`);
    }
  };
  visit(document, '');
  return found;
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

/** The candidate with the fewest edits from `name`; the first of equals. */
export function nearest(name: string, candidates: readonly string[]): string {
  const scored = candidates.map((candidate) => ({ candidate, edits: edits(name, candidate) }));
  return scored.reduce((best, next) => (next.edits < best.edits ? next : best)).candidate;
}

/** Levenshtein distance. */
function edits(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, at) => at);
  for (let i = 1; i <= one.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= other.length; j += 1) {
      const swap = (row[j - 1] as number) + (one[i - 1] === other[j - 1] ? 0 : 1);
      next.push(Math.min((row[j] as number) + 1, (next[j - 1] as number) + 1, swap));
    }
    row = next;
  }
  return row[other.length] as number;
}

/** A secret given as it is or by a file that holds it; undefined when neither is given. */
export function secretOf(given: string | undefined, file: string | undefined): string | undefined {
  if (given !== undefined) return given;
  if (file === undefined) return undefined;
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw refuse(
      `the token file ${file} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'}); name one that can with --token-file`,
    );
  }
}
