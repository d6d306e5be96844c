/** The package as another project gets it: packed, installed without a network, imported, type-checked, and as docs/client.md shows it. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Daemon, ROOT, cleanEnvironment } from '../e2e/processes.ts';
import { compile, linkPackages } from './client-package.ts';
import { type Ran, examplesOf, matches, runExamples } from './examples.ts';

let folder: string;
let daemon: Daemon;
let env: Record<string, string>;

function run(program: string, args: readonly string[], cwd: string): string {
  const ran = spawnSync(program, args, { cwd, env, encoding: 'utf8' });
  expect(ran.status, `${program} ${args.join(' ')}\n${ran.stdout}${ran.stderr}`).toBe(0);
  return ran.stdout;
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sealpool-package-'));
  env = { ...cleanEnvironment(), PATH: [dirname(process.execPath), process.env['PATH']].join(':') };
  daemon = new Daemon(['serve', '--data', join(folder, 'data')], { SEALPOOL_CHAIN_URL: 'http://127.0.0.1:1/rpc/v1' }, join(folder, 'log'));
  const { url, tokenFile } = await daemon.start();
  env = { ...env, SEALPOOL_URL: url, SEALPOOL_TOKEN: readFileSync(tokenFile, 'utf8').trim() };
  run('npm', ['run', '--silent', 'build:client'], ROOT);
  run('npm', ['pack', '--silent', '--offline', '--pack-destination', folder], ROOT);
  const packed = readdirSync(folder).find((name) => name.endsWith('.tgz')) as string;
  const own = join(folder, 'node_modules/sealpool');
  mkdirSync(own, { recursive: true });
  // What `npm install` of the file does with it; its dependencies are linked, as there is no network.
  run('tar', ['-xzf', join(folder, packed), '--strip-components=1', '-C', own], folder);
  linkPackages(join(folder, 'node_modules'));
  writeFileSync(join(folder, 'package.json'), '{ "type": "module", "private": true }\n');
}, 120_000);
afterAll(async () => {
  await daemon.end('SIGTERM');
  rmSync(folder, { recursive: true, force: true });
});

test('it holds the client and no sources, and only the client can be imported', () => {
  const own = join(folder, 'node_modules/sealpool');
  const names = readdirSync(own, { recursive: true }).map(String);
  expect(names).toContain('dist/api/client.d.ts');
  expect(names.filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'))).toEqual([]);
  writeFileSync(join(folder, 'other.mjs'), "await import('sealpool/src/main/sealpool.ts');\n");
  const other = spawnSync(process.execPath, ['other.mjs'], { cwd: folder, encoding: 'utf8' });
  expect(other.stderr).toMatch(/ERR_PACKAGE_PATH_NOT_EXPORTED/);
});

test('docs/client.md runs as written', { timeout: 60_000 }, async () => {
  const described = await (await fetch(`${env['SEALPOOL_URL']}/openapi.json`)).text();
  const examples = examplesOf(readFileSync(join(ROOT, 'docs/client.md'), 'utf8')).filter(
    ({ language, needs }) => language === 'js' && (needs === undefined || described.includes(needs)),
  );
  const ran = await runExamples(examples, folder, env, async () => undefined);
  expect(ran.size).toBe(examples.length);
  const [first, events, ...rest] = [...ran.values()] as [Ran, Ran, Ran];
  for (const { code, errors } of ran.values()) expect({ code, errors }).toEqual({ code: 0, errors: '' });
  expect(first.printed).toBe('2 Empty created\n');
  expect(matches(events.printed, '… created')).toBe(true);
  expect(rest.map(({ printed }) => printed.trim())).toEqual(examples.slice(2).map(({ expected }) => expected));
});

const CONSUMER = `
import { ApiError, type Event, type SectorView, createClient } from 'sealpool/client';

const client = createClient({ baseUrl: 'http://127.0.0.1:5230', token: 'sp-api-x' });
export async function states(): Promise<string[]> {
  const { items, epoch } = await client.sectors({ miner: 't01000' });
  const left = (job: SectorView): number | null => (job.deadline === null || epoch === null ? null : job.deadline.epoch - epoch);
  return items.map((job) => \`\${job.state} \${left(job)}\`);
}
export async function follow(signal: AbortSignal): Promise<Event | undefined> {
  for await (const event of client.follow({ type: ['sector.error'], after: 'now', signal })) return event;
  return undefined;
}
export const status = (error: unknown): number | undefined => (error instanceof ApiError ? error.problem.status : undefined);
`;
const STRICT = ['--noEmit', '--strict', '--target', 'es2024', '--lib', 'es2024,dom,dom.iterable', '--types', ''];

test.each([
  ['nodenext', 'nodenext'],
  ['esnext', 'bundler'],
])('a program that uses it type-checks with module %s, and a wrong one does not', { timeout: 60_000 }, (module, resolution) => {
  const check = (source: string): void => {
    writeFileSync(join(folder, 'consumer.ts'), source);
    compile([...STRICT, '--module', module, '--moduleResolution', resolution, 'consumer.ts'], folder);
  };
  check(CONSUMER);
  const wrong = CONSUMER.replace("'sector.error'", "'sector.nothing'").replace('problem.status', 'problem.nowhere');
  expect(() => check(wrong)).toThrow(/sector\.nothing[^]*nowhere/);
});
