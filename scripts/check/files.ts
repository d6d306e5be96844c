/** Which files a check looks at. */
import { type Dirent, existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const NOT_OURS = new Set(['node_modules', 'target', '.git', '.wrangler', 'coverage']);

/** Every file under `folder` whose name `wanted` accepts, sorted; none when the folder is not there. */
export function filesUnder(folder: string, wanted: (name: string) => boolean): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .toSorted((a, b) => a.name.localeCompare(b.name))
    .flatMap((entry) => below(folder, entry, wanted));
}

function below(folder: string, entry: Dirent, wanted: (name: string) => boolean): string[] {
  const path = join(folder, entry.name);
  if (entry.isDirectory()) return NOT_OURS.has(entry.name) ? [] : filesUnder(path, wanted);
  return entry.isFile() && wanted(entry.name) ? [path] : [];
}

/** Every TypeScript file under `folder`. */
export function typescriptFiles(folder: string): string[] {
  return filesUnder(folder, (name) => name.endsWith('.ts') || name.endsWith('.tsx'));
}
