/** What can be completed, written as a script for bash, zsh or fish. Nothing in it needs quoting but the words with a space. */
import type { Completions, Shell } from './completion.ts';

/** The words between options, up to the cursor; an option's value is none of them. */
const spell = (options: Iterable<string>): string => [...options].join('|');

/** The branches of bash and zsh: how a list of words is offered differs, the rest is the same. */
function branches({ words, options, values, fileOptions, fileCommands }: Completions, offer: (list: string) => string, files: string) {
  const told = [...values].filter(([, list]) => list.length > 0);
  const byValue = [
    ...told.map(([option, list]) => `    ${option}) ${offer(list.join(' '))}; return ;;`),
    `    ${spell(fileOptions)}) ${files}; return ;;`,
    `    ${spell([...values.keys()].filter((option) => !fileOptions.includes(option) && values.get(option)?.length === 0))}) return ;;`,
  ];
  // Longer words first: `import FILE` would match what begins with them.
  const commands = [...options].sort(([one], [other]) => other.length - one.length);
  const byWords = [
    ...[...words].map(([before, next]) => {
      const own = options.get(before);
      return `    "${before === '' ? '' : `${before} `}") if [[ $cur == -* ]]; then ${offer(own?.join(' ') ?? '')}; else ${offer(next.join(' '))}; fi ;;`;
    }),
    ...commands.map(([name, own]) => {
      const rest = fileCommands.includes(name) ? `else ${files}; ` : '';
      return `    "${name} "*) if [[ $cur == -* ]]; then ${offer(own.join(' '))}; ${rest}fi ;;`;
    }),
  ];
  return { byValue: byValue.join('\n'), byWords: byWords.join('\n') };
}

function bash(found: Completions): string {
  const offer = (list: string): string => `COMPREPLY=($(compgen -W "${list}" -- "$cur"))`;
  const { byValue, byWords } = branches(found, offer, 'compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur"))');
  return `# Completion of sealpool for bash. Install: source <(sealpool completion bash)
_sealpool() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} words="" word i
  # bash splits --state=PC1Done at the equals sign.
  if [[ $cur == = ]]; then cur=""; elif [[ $prev == = ]]; then prev=\${COMP_WORDS[COMP_CWORD-2]}; fi
  COMPREPLY=()
  case $prev in
${byValue}
  esac
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    case $word in
    ${spell(found.values.keys())}) [[ \${COMP_WORDS[i+1]} == = ]] && i=$((i + 2)) || i=$((i + 1)) ;;
    -*) ;;
    *) words+="$word " ;;
    esac
  done
  case $words in
${byWords}
  esac
}
complete -F _sealpool sealpool
`;
}

function zsh(found: Completions): string {
  const { byValue, byWords } = branches(found, (list) => `compadd -- ${list}`, '_files');
  return `#compdef sealpool
# Completion of sealpool for zsh. Install: source <(sealpool completion zsh), after compinit
_sealpool() {
  local cur=\${words[CURRENT]} prev=\${words[CURRENT-1]} typed="" word
  local -i i
  case $prev in
${byValue}
  esac
  for ((i = 2; i < CURRENT; i++)); do
    word=\${words[i]}
    case $word in
    ${spell(found.values.keys())}) i=$((i + 1)) ;;
    -*) ;;
    *) typed+="$word " ;;
    esac
  done
  case $typed in
${byWords}
  esac
}
compdef _sealpool sealpool
`;
}

function fish({ words, options, values, letters, fileOptions, fileCommands }: Completions): string {
  const of = (before: string, exactly: boolean): string => `-n '__sealpool_after ${exactly ? 'is' : 'begins'} "${before}"'`;
  const lines = [...words].map(([before, next]) => `complete -c sealpool -f ${of(before, true)} -a '${next.join(' ')}'`);
  for (const [command, own] of options) {
    for (const option of own) {
      const [list, letter] = [values.get(option), letters.get(option)];
      const told = list === undefined || list.length === 0 ? '' : ` -a '${list.join(' ')}'`;
      const takes = list === undefined ? ' -f' : fileOptions.includes(option) ? ' -rF' : ` -x${told}`;
      lines.push(`complete -c sealpool ${of(command, false)} -l ${option.slice(2)}${letter === undefined ? '' : ` -s ${letter}`}${takes}`);
    }
    if (fileCommands.includes(command)) lines.push(`complete -c sealpool -F ${of(command, false)}`);
  }
  return `# Completion of sealpool for fish. Install: sealpool completion fish > ~/.config/fish/completions/sealpool.fish
function __sealpool_after
  set -l typed
  set -l skip 0
  for word in (commandline -opc)[2..-1]
    if test $skip = 1
      set skip 0
    else if contains -- $word ${[...values.keys()].join(' ')}
      set skip 1
    else if not string match -q -- '-*' $word
      set -a typed $word
    end
  end
  set -l line (string join ' ' $typed)
  test "$line" = $argv[2]; and return 0
  test $argv[1] = begins; and string match -q -- "$argv[2] *" "$line"
end
complete -c sealpool -f
${lines.join('\n')}
`;
}

/** The script for this shell. */
export function completionScript(shell: Shell, found: Completions): string {
  return { bash, zsh, fish }[shell](found);
}
