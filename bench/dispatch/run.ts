/**
 * `npm run bench [-- --jobs N] [--only sealpool|bullmq|graphile]`: measures our dispatch and two well-known queues
 * in one run on one machine, and prints a Markdown table. Nothing is asserted.
 */
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { openBullmq } from './bullmq.ts';
import { openGraphile } from './graphile.ts';
import { type Figures, measure } from './measure.ts';
import { openSealpool } from './sealpool.ts';
import { startPostgres, startRedis } from './servers.ts';

const { values } = parseArgs({ options: { jobs: { type: 'string', default: '1000' }, only: { type: 'string' } } });
const sizes = { jobs: Number(values.jobs), lanes: 32, handOffs: 300, warmUp: 30 };

const SYSTEMS = {
  sealpool: (say: (what: string) => void) => measure(openSealpool, sizes, say),
  bullmq: async (say: (what: string) => void) => {
    const redis = await startRedis();
    return measure(openBullmq(redis.port), sizes, say).finally(() => redis.stop());
  },
  graphile: async (say: (what: string) => void) => {
    const postgres = await startPostgres();
    return measure(openGraphile(postgres.port), sizes, say).finally(() => postgres.stop());
  },
} as const;

function row({ name, enqueuePerS, pipedPerS, drainedPerS, handOffP50Ms, handOffP99Ms }: Figures): string {
  const count = (value: number): string => Math.round(value).toLocaleString('en');
  return `| ${name} | ${handOffP50Ms.toFixed(1)} | ${handOffP99Ms.toFixed(1)} | ${count(enqueuePerS)} | ${count(pipedPerS)} | ${count(drainedPerS)} |`;
}

const figures: Figures[] = [];
for (const [name, run] of Object.entries(SYSTEMS)) {
  if (values.only !== undefined && values.only !== name) continue;
  figures.push(await run((what) => console.error(`${name}: ${what}`)));
}
console.log(
  `${sizes.jobs} jobs, ${sizes.lanes} in flight, ${sizes.handOffs} hand-offs; ${cpus().length} × ${cpus()[0]?.model}, Node ${process.versions.node}\n`,
);
console.log('| system | hand-off p50, ms | p99, ms | one by one, jobs/s | piped, jobs/s | drained, jobs/s |');
console.log('|---|---|---|---|---|---|');
for (const each of figures) console.log(row(each));
console.log(`\n${figures.map(({ name, setup }) => `${name}: ${setup}.`).join(' ')}`);
