/**
 * Examples of a document as one program: its `sh` blocks and, through Node, its `js` blocks, in their order and as they
 * stand, so that what one block sets is there in the next. The `text` block after an example is what it must print;
 * `…` stands for anything, and a line of its own for any lines. `needs=WORD`: only where the API's description has the
 * word. `file=NAME`: it is written down and not run.
 */
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export type Example = {
  readonly language: 'sh' | 'js';
  readonly code: string;
  readonly heading: string;
  /** Line of the document. */
  readonly line: number;
  readonly needs: string | undefined;
  readonly file: string | undefined;
  readonly expected: string | undefined;
};

/** All examples of a document. Throws where a fence is of a kind that would not be run. */
export function examplesOf(document: string): Example[] {
  const found: Example[] = [];
  const lines = document.split('\n');
  let heading = '';
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at] as string;
    if (line.startsWith('#')) heading = line.replace(/^#+ /, '');
    const fence = /^```(\w*) ?(.*)$/.exec(line);
    if (fence === null) continue;
    const end = lines.indexOf('```', at + 1);
    const code = lines.slice(at + 1, end).join('\n');
    const [, language, info = ''] = fence;
    const said = (name: string): string | undefined => new RegExp(`(?:^| )${name}=(\\S+)`).exec(info)?.[1];
    const last = found.at(-1);
    if (language === 'text' && last !== undefined && last.expected === undefined) found[found.length - 1] = { ...last, expected: code };
    else if (language === 'sh' || language === 'js')
      found.push({ language, code, heading, line: at + 1, needs: said('needs'), file: said('file'), expected: undefined });
    else throw new Error(`line ${at + 1}: a block of kind ${JSON.stringify(language)} is not run by the test; make it sh, js or text`);
    at = end;
  }
  return found;
}

/** Whether a text is what was written down. */
export function matches(printed: string, expected: string): boolean {
  const escaped = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
  const lines = expected.split('\n').map((line) => (line === '…' ? '(?:.*\n)*' : `${escaped(line).replaceAll('…', '.*')}\n`));
  return new RegExp(`^${lines.join('')}$`).test(`${printed.trimEnd()}\n`);
}

export type Ran = { readonly printed: string; readonly errors: string; readonly code: number | null };

/**
 * Runs the examples in one shell that ends with the first that fails. `before` is awaited with each example before it
 * begins. Answers what each printed; none for those after a failure.
 */
export async function runExamples(
  examples: readonly Example[],
  folder: string,
  env: Record<string, string>,
  before: (example: Example) => Promise<void>,
): Promise<Map<Example, Ran>> {
  const program = examples.map((example, at) => {
    if (example.file !== undefined) writeFileSync(join(folder, example.file), `${example.code}\n`);
    if (example.language === 'js') writeFileSync(join(folder, `example-${at}.mjs`), `${example.code}\n`);
    const code = example.file !== undefined ? ':' : example.language === 'sh' ? example.code : `node example-${at}.mjs`;
    // It waits for a line before each example, and says when it is over; what it prints lands in files of its own.
    return `read -r go <&3\n{ ${code}\n} > out-${at}.txt 2> err-${at}.txt\necho ${at} >&4`;
  });
  const shell = spawn('sh', ['-eu', '-c', program.join('\n')], {
    cwd: folder,
    env,
    detached: true,
    stdio: ['ignore', 'inherit', 'inherit', 'pipe', 'pipe'],
  });
  const ended = new Promise<number | null>((resolve) => shell.once('exit', (code) => resolve(code)));
  const [go, over] = [shell.stdio[3] as NodeJS.WritableStream, shell.stdio[4] as NodeJS.ReadableStream];
  go.on('error', () => undefined);
  const ran = new Map<Example, Ran>();
  try {
    for (const [at, example] of examples.entries()) {
      await before(example);
      const done = new Promise<0>((resolve) => over.once('data', () => resolve(0)));
      go.write('go\n');
      const code = await Promise.race([done, ended]);
      const [printed, errors] = ['out', 'err'].map((name) => readFileSync(join(folder, `${name}-${at}.txt`), 'utf8')) as [string, string];
      ran.set(example, { printed, errors, code });
      if (code !== 0) break;
    }
  } finally {
    // With it go the receivers that it left in the background.
    if (shell.pid !== undefined)
      try {
        process.kill(-shell.pid, 'SIGKILL');
      } catch {
        // The whole group is gone already.
      }
    await ended;
  }
  return ran;
}
