/**
 * The peer: the same sectors as JSON documents in plain SQLite, with no index but the primary keys, so that a filter
 * reads every document. That is how a key-value store of sectors is listed. Run by itself it serves the documents:
 * `node peer.ts FILE`.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import Database from 'better-sqlite3';

/** Copies what the store at `from` holds into documents at `to`. */
export function fillPeer(from: string, to: string): void {
  const db = new Database(to);
  db.pragma('journal_mode = WAL');
  db.exec('create table sectors (seq integer primary key, id text not null unique, document text not null)');
  db.exec('create table events (seq integer primary key, document text not null)');
  db.prepare('attach ? as ours').run(from);
  db.exec(`insert into sectors select seq, id, json_object('id', id, 'plan', plan, 'miner', miner, 'number', number, 'state', state,
    'generation', generation, 'paused', paused, 'error', error_code, 'message', error_message, 'thread', thread, 'retries', retries,
    'createdMs', created_ms, 'updatedMs', updated_ms, 'data', json(data)) from ours.jobs`);
  db.exec(`insert into events select seq, json_object('job', job, 'generation', generation, 'atMs', at_ms, 'actor', actor,
    'kind', kind, 'from', from_state, 'to', to_state, 'event', event, 'detail', json(detail)) from ours.events`);
  db.close();
}

const FIELDS = ['state', 'plan', 'miner', 'paused', 'error'];

/** Answers what the bench asks of our API, in the same shape as far as it looks at it. */
function answer(db: Database.Database, url: URL): unknown {
  const limit = Number(url.searchParams.get('limit') ?? 50);
  if (url.pathname === '/v1/events') {
    const after = Number(url.searchParams.get('after') ?? 0);
    return { items: documents(db.prepare('select document from events where seq > ? order by seq limit ?').pluck().all(after, limit)) };
  }
  if (url.pathname !== '/v1/sectors') {
    const [, miner = '', number = ''] = (url.pathname.split('/').at(-1) ?? '').split('-');
    const job = db
      .prepare("select document from sectors where document ->> 'miner' = ? and document ->> 'number' = ? order by seq desc limit 1")
      .pluck()
      .get(miner, Number(number)) as string;
    const { id } = JSON.parse(job) as { id: string };
    const events = db.prepare("select document from events where document ->> 'job' = ? order by seq").pluck().all(id);
    return { job: JSON.parse(job), events: documents(events) };
  }
  const asked = FIELDS.flatMap((field) => {
    const value = url.searchParams.get(field);
    return value === null ? [] : [{ field, value: field === 'paused' ? Number(value === 'true') : value }];
  });
  const cursor = Number(url.searchParams.get('cursor') ?? Number.MAX_SAFE_INTEGER);
  const where = asked.map(({ field }) => ` and document ->> '${field}' = ?`).join('');
  const found = db.prepare(`select document from sectors where seq < ?${where} order by seq desc limit ?`).pluck();
  return { items: documents(found.all(cursor, ...asked.map(({ value }) => value), limit)), cursor: null };
}

const documents = (rows: unknown[]): unknown[] => rows.map((row) => JSON.parse(row as string) as unknown);

if (import.meta.main) {
  const db = new Database(process.argv[2], { readonly: true });
  const server = createServer((request, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(answer(db, new URL(request.url ?? '/', 'http://localhost'))));
  });
  server.listen(0, '127.0.0.1', () => {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    process.stdout.write(`${JSON.stringify({ ready: true, url, tokenFile: '' })}\n`);
  });
}
