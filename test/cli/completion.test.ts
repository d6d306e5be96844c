/** Completion as a shell does it: real bash reads the script, and zsh and fish where they are installed. */
import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { COMMANDS } from '../../src/cli/command-table.ts';
import { completions } from '../../src/cli/completion.ts';
import { EVENT_TYPES } from '../../src/schema/event.ts';
import { PLANS } from '../../src/scheduler/plans/all.ts';
import { ENTRY, ROOT, cleanEnvironment } from '../e2e/processes.ts';

const script = (shell: string): string => {
  const made = spawnSync(process.execPath, ['--disable-warning=ExperimentalWarning', ENTRY, 'completion', shell], {
    env: { ...cleanEnvironment(), SEALPOOL_CONFIG: '/nowhere.toml' },
    encoding: 'utf8',
  });
  expect(made).toMatchObject({ status: 0, stderr: '' });
  return made.stdout;
};
const installed = (shell: string): boolean => spawnSync(shell, ['-c', 'exit 0']).status === 0;

/** What the shell offers when a tab is pressed at the end of each line. */
function inBash(lines: readonly (readonly string[])[]): string[][] {
  const asks = lines.map(
    (words) => `COMP_WORDS=(sealpool ${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length}; _sealpool 2>/dev/null
printf '%s\\n' "\${COMPREPLY[@]}" ---`,
  );
  const run = spawnSync('bash', ['--norc', '-c', `${script('bash')}\n${asks.join('\n')}`], { cwd: ROOT, encoding: 'utf8' });
  expect(run).toMatchObject({ status: 0, stderr: '' });
  return run.stdout
    .split('---\n')
    .slice(0, -1)
    .map((block) => block.split('\n').filter((line) => line !== ''));
}

test('bash completes words, options and the values that can be told', () => {
  const [first, state, states, types, equals, options, short, roles, positional, files, none, shells, sub] = inBash([
    ['sec'],
    ['sectors', 'resume', '--state', 'PC1'],
    ['sectors', 'resume', 's-t01000-7', '-s', ''],
    ['events', '--watch', '--type', 'runner.'],
    ['sectors', 'list', '--plan', '=', 'sn'],
    ['sectors', 'resume', 's-t01000-7', '--'],
    ['--url', 'http://127.0.0.1:1', 'worker', ''],
    ['tokens', 'create', '--role', ''],
    ['sectors', 'pause', ''],
    ['import', 'pack'],
    ['sectors', 'pledge', '--miner', ''],
    ['completion', ''],
    ['util', 'sealer', 'sectors', 'l'],
  ]);
  expect(first).toEqual(['sectors']);
  expect(state).toEqual(['PC1Done']);
  for (const { table } of Object.values(PLANS)) expect(states).toEqual(expect.arrayContaining(Object.keys(table)));
  expect(types).toEqual(EVENT_TYPES.filter((type) => type.startsWith('runner.')));
  expect(equals).toEqual(['snapup']);
  expect(options).toEqual(expect.arrayContaining(['--state', '--force', '--json', '--verbose']));
  expect(options).not.toContain('--watch');
  expect(short).toEqual(expect.arrayContaining(['list', 'pause', 'resume', 'limits']));
  expect(roles).toEqual(['viewer', 'operator', 'admin']);
  expect(positional).toEqual([]);
  expect(files).toEqual(expect.arrayContaining(['package.json', 'package-lock.json']));
  expect(none).toEqual([]);
  expect(shells).toEqual(['bash', 'zsh', 'fish']);
  expect(sub).toEqual(['list']);
});

test('every command of the table can be typed with tabs alone, and bash offers all of its options', () => {
  const asked = COMMANDS.flatMap(({ words }) => {
    const parts = words.split(' ');
    return [...parts.map((_part, at) => [...parts.slice(0, at), '']), [...parts, '--']];
  });
  const offered = inBash(asked);
  const found = completions(COMMANDS, []);
  let at = 0;
  for (const { words } of COMMANDS) {
    for (const part of words.split(' ')) expect(offered[at++], words).toContain(part);
    expect(offered[at++]?.toSorted(), words).toEqual(found.options.get(words)?.toSorted());
  }
});

test('the first words are those that help shows', () => {
  const help = spawnSync(process.execPath, ['--disable-warning=ExperimentalWarning', ENTRY, 'help'], {
    env: cleanEnvironment(),
    encoding: 'utf8',
  }).stdout;
  const shown = new Set(
    help
      .split('\n')
      .map((line) => /^ {2}([a-z]+)/.exec(line)?.[1])
      .filter((word) => word !== undefined),
  );
  expect(
    [...shown].filter(
      (word) =>
        !completions(COMMANDS, [])
          .words.get('')
          ?.includes(word as string),
    ),
  ).toEqual([]);
});

test.each(['powershell', ''])('there is no completion for %j', (shell) => {
  const ended = spawnSync(process.execPath, ['--disable-warning=ExperimentalWarning', ENTRY, 'completion', shell], {
    env: cleanEnvironment(),
    encoding: 'utf8',
  });
  expect(ended).toMatchObject({ status: 2, stderr: expect.stringMatching(/there is no completion for .*; shells are bash, zsh, fish/) });
});

describe('other shells', () => {
  test.runIf(installed('zsh'))('zsh reads the script and offers words', () => {
    const asks = 'compadd() { shift; print -l -- "$@" }; words=(sealpool sec); CURRENT=2; _sealpool';
    const run = spawnSync('zsh', ['-f', '-c', `compdef() { : }\n${script('zsh')}\n${asks}`], { encoding: 'utf8' });
    expect(run).toMatchObject({ status: 0, stderr: '' });
    expect(run.stdout.split('\n')).toContain('sectors');
  });

  test.runIf(installed('fish'))('fish completes words and values', () => {
    const ask = (line: string): string[] =>
      spawnSync('fish', ['--no-config', '-c', `${script('fish')}\ncomplete -C '${line}'`], { encoding: 'utf8' })
        .stdout.split('\n')
        .map((offer) => offer.split('\t')[0] as string);
    expect(ask('sealpool sec')).toContain('sectors');
    expect(ask('sealpool sectors resume --state PC1D')).toContain('PC1Done');
  });
});
