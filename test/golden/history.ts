/**
 * A golden history: the database of one version with jobs in every state, as SQL, and what was in flight around it:
 * reports that runners had in hand, sectors of the chain. Gzipped JSON, since 40 histories repeat themselves.
 */
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import Database from 'better-sqlite3';
import type { ChainSector } from '../../src/schema/job.ts';
import type { Kept } from '../scheduler/world.ts';

export type History = Kept & {
  /** Stages that were granted and done, not yet reported: what a runner sends after the upgrade. */
  readonly reports: readonly { readonly runner: string; readonly report: Record<string, unknown> }[];
  readonly sectors: readonly (readonly [number: number, sector: ChainSector])[];
  /** How the recorder left each job: its id and what was asked of it. */
  readonly left: Readonly<Record<string, string>>;
};

const FOLDER = import.meta.dirname;
const ENDING = '.json.gz';

/** Names of the recorded versions, the first one first. */
export const versions = (): string[] =>
  readdirSync(FOLDER)
    .filter((name) => name.endsWith(ENDING))
    .map((name) => name.slice(0, -ENDING.length))
    .sort();

export const readHistory = (version: string): History =>
  JSON.parse(gunzipSync(readFileSync(join(FOLDER, version + ENDING))).toString()) as History;

/** Keeps it as the newest; answers the file and its size in bytes. */
export function writeHistory(version: string, history: History): { path: string; sizeBytes: number } {
  const path = join(FOLDER, `${String(versions().length).padStart(4, '0')}-${version}${ENDING}`);
  const bytes = gzipSync(JSON.stringify(history), { level: 9 });
  writeFileSync(path, bytes);
  return { path, sizeBytes: bytes.length };
}

type Made = { readonly type: string; readonly name: string; readonly sql: string | null };

/** The database as statements: tables, rows, then indexes. */
export function dump(path: string): string {
  const database = new Database(path, { readonly: true });
  try {
    const made = database.prepare("select type, name, sql from sqlite_master where name not like 'sqlite_%'").all() as Made[];
    const tables = made.filter(({ type }) => type === 'table');
    const rows = tables.flatMap(({ name }) =>
      (database.prepare(`select * from \`${name}\``).raw().all() as unknown[][]).map(
        (row) => `insert into \`${name}\` values (${row.map(literal).join(', ')})`,
      ),
    );
    const rest = made.filter(({ type }) => type !== 'table');
    // Tables refer to each other: rows come in any order.
    return ['pragma foreign_keys = off', ...tables.map(({ sql }) => sql), ...rows, ...rest.map(({ sql }) => sql)]
      .filter((statement) => statement !== null)
      .map((statement) => `${statement.replace(/;\s*$/, '')};\n`)
      .join('');
  } finally {
    database.close();
  }
}

function literal(value: unknown): string {
  if (value === null) return 'null';
  return typeof value === 'number' ? String(value) : `'${String(value).replaceAll("'", "''")}'`;
}
