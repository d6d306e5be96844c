/** `/metrics`: everything that is measured, in Prometheus' text format. */
import { Gauge, Registry, collectDefaultMetrics } from 'prom-client';
import { countedMetrics } from './counted.ts';
import { type Money, type Standing, standingMetrics } from './standing.ts';

/** Gauges of the library that end as counters do; their numbers by kind are there without that ending. */
const MISNAMED = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total'];

export type MetricsParts = {
  /** Of the package. */
  readonly version: string;
  /** What stands now; rejects when the database cannot be read. */
  readonly standing: () => Promise<Standing>;
  /** As the node last told it; empty while it does not answer. */
  readonly money: () => readonly Money[];
};

/** Counters to feed, and the page. */
export type Metrics = ReturnType<typeof countedMetrics> & {
  /** The page as text. What cannot be read now is left out of it: the counters still tell why. */
  text(): Promise<string>;
};

/** A registry of its own: several control planes of one process do not add up. */
export function openMetrics(parts: MetricsParts): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  for (const name of MISNAMED) registry.removeSingleMetric(name);
  const build = new Gauge({ name: 'sealpool_build_info', help: 'Always 1.', labelNames: ['version'], registers: [registry] });
  build.set({ version: parts.version }, 1);
  const show = standingMetrics(registry);
  return {
    ...countedMetrics(registry),
    async text() {
      show(await parts.standing().catch(() => undefined), parts.money());
      return registry.metrics();
    },
  };
}
