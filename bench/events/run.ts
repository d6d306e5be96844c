/**
 * What streams of events cost the dispatch: hand-offs (a runner reports a stage, until another that waits holds the next
 * one) with no stream open, with idle ones, and with as many that get every event; in turns, on one control plane each.
 * `node_modules/.bin/node bench/events/run.ts [--streams 200] [--hand-offs 300] [--rounds 3]`
 */
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { percentile } from '../dispatch/measure.ts';
import { type OpenSealpool, openSealpool } from '../dispatch/sealpool.ts';

const { values } = parseArgs({
  options: {
    streams: { type: 'string', default: '200' },
    'hand-offs': { type: 'string', default: '300' },
    rounds: { type: 'string', default: '3' },
  },
});
const STREAMS = Number(values.streams);
const HAND_OFFS = Number(values['hand-offs']);
const WARM_UP = 20;

/** Opens streams and reads them; answers how to close them and how many bytes came. */
async function follow(queue: OpenSealpool, count: number, query: string): Promise<{ close(): void; bytes(): number }> {
  const stop = new AbortController();
  const token = readFileSync(queue.tokenFile, 'utf8').trim();
  let bytes = 0;
  const headers = { authorization: `Bearer ${token}`, accept: 'text/event-stream' };
  const opened = Array.from({ length: count }, async () => {
    const answer = await fetch(`${queue.url}/v1/events?${query}`, { headers, signal: stop.signal });
    if (answer.status !== 200) throw new Error(`a stream was answered ${answer.status}`);
    void (async () => {
      for await (const chunk of answer.body ?? []) bytes += (chunk as Uint8Array).length;
    })().catch(() => undefined);
  });
  await Promise.all(opened);
  return { close: () => stop.abort(), bytes: () => bytes };
}

async function measure(streams: number, query: string): Promise<{ p50Ms: number; p99Ms: number; bytes: number }> {
  const queue = await openSealpool(HAND_OFFS + WARM_UP);
  try {
    const open = await follow(queue, streams, query);
    const all: number[] = [];
    for (let done = 0; done < HAND_OFFS + WARM_UP; done += 1) all.push(await queue.handOff());
    open.close();
    const kept = all.slice(WARM_UP);
    return { p50Ms: percentile(kept, 0.5), p99Ms: percentile(kept, 0.99), bytes: open.bytes() };
  } finally {
    await queue.close();
  }
}

const CASES = [
  { name: 'no stream', streams: 0, query: '' },
  { name: `${STREAMS} idle streams (of token changes)`, streams: STREAMS, query: 'type=audit' },
  { name: `${STREAMS} streams of every event`, streams: STREAMS, query: '' },
];

console.log(`${cpus().length} × ${cpus()[0]?.model ?? 'CPU'}, Node ${process.versions.node}; ${HAND_OFFS} hand-offs a case and round\n`);
console.log('| round | streams | hand-off p50, ms | p99, ms | bytes read |\n|---|---|---|---|---|');
for (let round = 1; round <= Number(values.rounds); round += 1) {
  for (const { name, streams, query } of CASES) {
    const { p50Ms, p99Ms, bytes } = await measure(streams, query);
    console.log(`| ${round} | ${name} | ${p50Ms.toFixed(1)} | ${p99Ms.toFixed(1)} | ${bytes} |`);
  }
}
