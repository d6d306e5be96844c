/** Rules on single files: length, names, and marks of unfinished work. */
import { readFileSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { filesUnder } from './files.ts';

/** No file is longer; the median should be near 100 lines. Generated files (`.gen.ts`) are not counted. */
export const MAX_LINES = 400;

const FOLDERS = ['src', 'test', 'scripts', 'bench', 'runner-image'];
const VAGUE = /^(utils?|helpers?|common|misc)(\.|$)/;
const KEBAB = /^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+)*\.tsx?$/;
// Written in two halves, so that this file does not find itself.
const UNFINISHED = new RegExp(
  ['TO' + 'DO', 'FIX' + 'ME', 'not imple' + 'mented', '\\b(?:it|test|describe)\\.(?:skip|only|to' + 'do)\\b'].join('|'),
);
// `new Date()` and `Date()` read the clock and compile under any lib; lint has no rule for them.
const CLOCK = /\bnew Date\(\s*\)|(?<!new )\bDate\(\s*\)/;

/** One sentence for each file under `root` that breaks a rule. */
export function fileViolations(root: string): string[] {
  return FOLDERS.flatMap((folder) => filesUnder(join(root, folder), (name) => /\.(ts|tsx|rs)$/.test(name))).flatMap((path) => {
    const name = relative(root, path);
    const text = readFileSync(path, 'utf8');
    const found: string[] = [];
    const lines = text.split('\n').length - 1;
    if (lines > MAX_LINES && !name.endsWith('.gen.ts')) found.push(`${name}: ${lines} lines, at most ${MAX_LINES}; split it by concept`);
    const vague = name.split('/').find((part) => VAGUE.test(part));
    if (vague !== undefined) found.push(`${name}: "${vague}" says nothing; name it after what is in it`);
    if (/\.tsx?$/.test(name) && !KEBAB.test(basename(name))) found.push(`${name}: TypeScript files are named in kebab-case`);
    const mark = UNFINISHED.exec(text);
    if (mark !== null) found.push(`${name}: "${mark[0]}" marks unfinished work; finish it or open an issue`);
    if (/^src\/(scheduler|schema)\//.test(name) && CLOCK.test(text)) found.push(`${name}: reads the clock; take nowMs as an argument`);
    return found;
  });
}
