/** Writes docs/state-machines.md: one diagram and one table per plan, from the same tables that the engine runs. */
import { planTables } from '../src/scheduler/plans/all.ts';

type Tables = ReturnType<typeof planTables>;

/** The whole document. */
export function stateMachinesDocument(tables: Tables = planTables()): string {
  const intro = [
    '# State machines',
    '',
    'Generated from `src/scheduler/plans/` by `npm run generate`; `npm run check` fails when this file is stale.',
    'Every state but the final ones can also go to `Aborted`: by an operator, or by an error of the `abort` category.',
    'The same tables are served by `GET /v1/plans`.',
  ];
  return `${[...intro, ...Object.entries(tables).flatMap(([plan, table]) => section(plan, table))].join('\n')}\n`;
}

function section(plan: string, table: Tables[string]): string[] {
  const edges = Object.entries(table).flatMap(([state, events]) => Object.entries(events).map(([event, to]) => ({ state, event, to })));
  const first = Object.keys(table)[0] ?? '';
  const finals = Object.keys(table).filter((state) => Object.keys(table[state] ?? {}).length === 0);
  return [
    '',
    `## ${plan}`,
    '',
    '```mermaid',
    'stateDiagram-v2',
    '  direction LR',
    `  [*] --> ${first}`,
    ...edges.map(({ state, event, to }) => `  ${state} --> ${to}: ${event}`),
    ...finals.map((state) => `  ${state} --> [*]`),
    '```',
    '',
    '| state | event | next state |',
    '|---|---|---|',
    ...edges.map(({ state, event, to }) => `| ${state} | ${event} | ${to} |`),
    ...finals.map((state) => `| ${state} | – | – |`),
  ];
}
