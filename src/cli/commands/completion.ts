/** `sealpool completion`: the script that a shell reads at its start. */
import { type Command, type Session, UsageError, argument } from '../command.ts';
import { SHELLS, type Shell } from '../completion.ts';
import { completionScript } from '../completion-scripts.ts';

async function completion({ positionals, line, completions }: Session): Promise<void> {
  const shell = argument(positionals, 0);
  if (!(SHELLS as readonly string[]).includes(shell))
    throw new UsageError(`there is no completion for ${JSON.stringify(shell)}; shells are ${SHELLS.join(', ')}`);
  line(completionScript(shell as Shell, await completions()).trimEnd());
}

export const COMPLETION_COMMANDS: readonly Command[] = [
  {
    words: 'completion',
    takes: SHELLS.join('|'),
    about: 'completion for a shell: source <(sealpool completion bash)',
    positionals: [1, 1],
    alone: true,
    run: completion,
  },
];
