/** Finds imports that the table in import-rules.ts does not allow. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { COMPOSITION, IMPORT_RULES, type ImportRule } from './import-rules.ts';
import { typescriptFiles } from './files.ts';

const STATEMENT = /\b(?:import|export)\s+(?:type\s+)?(?:[\w*{}\s,$]+\sfrom\s*)?['"]([^'"]+)['"]|\bimport\s*\(\s*['"]([^'"]+)['"]/g;
const COMMENT = /\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm;

/** The module names that a source text imports, types included, in order. */
export function importsOf(source: string): string[] {
  return [...source.replaceAll(COMMENT, '').matchAll(STATEMENT)].map((match) => match[1] ?? match[2] ?? '');
}

/** One sentence for each import under `root`/src that is not allowed; empty when all are. */
export function importViolations(root: string): string[] {
  const src = join(root, 'src');
  return typescriptFiles(src).flatMap((file) => {
    const folder = relative(src, file).split('/')[0] ?? '';
    if (COMPOSITION.includes(folder)) return [];
    const name = relative(root, file);
    const rule = IMPORT_RULES[folder];
    if (rule === undefined) return [`${name}: folder src/${folder} has no import rule; add one to scripts/check/import-rules.ts`];
    return importsOf(readFileSync(file, 'utf8'))
      .map((specifier) => refusal(src, file, folder, rule, specifier))
      .filter((reason) => reason !== undefined)
      .map((reason) => `${name}: ${reason}`);
  });
}

function refusal(src: string, file: string, folder: string, rule: ImportRule, specifier: string): string | undefined {
  if (specifier.startsWith('node:')) return rule.node ? undefined : `src/${folder} must not import ${specifier}; take it through a port`;
  if (!specifier.startsWith('.')) {
    const allowed = rule.packages.some((name) => specifier === name || specifier.startsWith(`${name}/`));
    return allowed
      ? undefined
      : `src/${folder} must not import the package ${specifier}; allowed are ${rule.packages.join(', ') || 'none'}`;
  }
  const target = resolve(dirname(file), specifier);
  if (!specifier.endsWith('.ts')) return `import "${specifier}" must name the .ts file itself`;
  const path = relative(src, target);
  if (path.startsWith('..')) return `import "${specifier}" leaves src/`;
  if (!existsSync(target)) return `import "${specifier}" names a file that is not there`;
  const own = [folder, ...rule.own];
  const allowed = own.some((name) => path === name || path.startsWith(`${name}/`));
  return allowed ? undefined : `src/${folder} must not import src/${path}; allowed are ${own.join(', ')}`;
}
