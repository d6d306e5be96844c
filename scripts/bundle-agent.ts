/**
 * `make agent`: the agent with all that it imports in one file, bin/sealpool-agent.mjs or the one that is named, as the
 * control plane hands it out and the runner image holds it. It needs Node 22.12 or newer and nothing beside it.
 */
import { renameSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { rolldown } from 'rolldown';

const ROOT = join(import.meta.dirname, '..');

/** The bundle's text. Throws when something of it would have to be installed beside it. */
export async function bundleAgent(): Promise<string> {
  const bundle = await rolldown({ input: join(ROOT, 'src/main/agent-bundle.ts'), cwd: ROOT, platform: 'node' });
  try {
    const { output } = await bundle.generate({
      format: 'esm',
      codeSplitting: false,
      banner: '// The Sealpool agent in one file; its sources are in src/.',
    });
    const [entry, ...more] = output;
    const outside = entry.imports.filter((name) => !name.startsWith('node:'));
    if (more.length > 0 || outside.length > 0)
      throw new Error(
        `the agent's bundle is not whole: ${[...more.map(({ fileName }) => fileName), ...outside].join(', ')} would be beside it`,
      );
    return entry.code;
  } finally {
    await bundle.close();
  }
}

if (process.argv[1] === import.meta.filename) {
  const file = resolve(process.argv[2] ?? join(ROOT, 'bin/sealpool-agent.mjs'));
  // Whole or not at all: a control plane may read it now.
  writeFileSync(`${file}.new`, await bundleAgent());
  renameSync(`${file}.new`, file);
  console.log(`${file} written`);
}
