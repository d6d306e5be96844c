/** `sealpool runners show`: one runner with all that it told of its machine. */
import type { RunnerView } from '../../api/client.ts';
import { type Command, argument } from '../command.ts';
import { plain, size, table, time } from '../text.ts';

function gpuLines({ gpus }: RunnerView['resources']): string[] {
  if (gpus.length === 0) return ['none'];
  const lines = gpus.map(({ model, vramBytes, driver }) =>
    [model, vramBytes === 0 ? 'VRAM not told' : size(vramBytes), ...(driver === undefined ? [] : [`driver ${driver}`])].join(', '),
  );
  return [...new Set(lines)].map((line) => `${lines.filter((other) => other === line).length} × ${line}`);
}

/** Each line with its name; what the agent does not tell is left out. */
export function runnerText(runner: RunnerView): string {
  const { resources: has } = runner;
  const { hugepages = [], network } = has;
  const lines: (readonly [string, string])[] = [
    ['runner', runner.id],
    ['name', runner.name],
    ['trust', runner.trust],
    ['labels', runner.labels.join(' ') || 'none'],
    ['status', runner.status + (runner.reason === null ? '' : ` (${runner.reason})`)],
    ['strikes', String(runner.strikes)],
    ['version', runner.agentVersion ?? 'not told'],
    ['stages', runner.stages.join(' ')],
    ['storage', runner.storage.join(' ') || 'none'],
    ['cores', String(has.cores)],
    ['memory', size(has.ramBytes)],
    ['free disk', size(has.diskFreeBytes)],
    ...gpuLines(has).map((line) => ['GPU', line] as const),
    ...(has.numaNodes === undefined ? [] : [['NUMA nodes', String(has.numaNodes)] as const]),
    ...hugepages.map(({ sizeBytes, total, free }) => ['huge pages', `${total} of ${size(sizeBytes)}, ${free} free`] as const),
    ...(network === undefined
      ? []
      : [
          ['from object store', `${size(network.downBytesPerS)}/s`] as const,
          ['to object store', `${size(network.upBytesPerS)}/s, measured ${time(network.measuredMs)}`] as const,
        ]),
    ...(has.isolation === undefined
      ? []
      : [['stages run in', `${has.isolation.executor}, keeping from them: ${has.isolation.contains.join(' ') || 'nothing'}`] as const]),
    ...Object.entries(runner.tests).map(
      ([stage, { passed, atMs, durationMs, reason }]) =>
        ['self-test', `${stage} ${passed ? `passed in ${durationMs / 1000} s` : `failed: ${reason}`}, ${time(atMs)}`] as const,
    ),
    ['registered', time(runner.registeredMs)],
    ['last seen', time(runner.lastSeenMs)],
  ];
  const width = Math.max(...lines.map(([name]) => name.length));
  const running = runner.running.map(({ attempt, job, stage, fraction }) => [
    attempt,
    job,
    stage,
    fraction === null ? null : `${Math.round(fraction * 100)} %`,
  ]);
  return [
    ...lines.map(([name, value]) => `${name.padEnd(width)}  ${plain(value)}`),
    ...(running.length === 0 ? [] : ['', table(['attempt', 'job', 'stage', 'done'], running)]),
  ].join('\n');
}

export const SHOW_RUNNER: Command = {
  words: 'runners show',
  takes: 'RUNNER',
  about: 'one runner: what its machine has, what runs on it',
  positionals: [1, 1],
  run: async ({ client, positionals, show }) => show(await client.runner(argument(positionals, 0)), runnerText),
};
