/** Each example of docs/api.md, run as it stands against a real control plane, chain and runner. */
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../e2e/free-port.ts';
import { Deployment, ROOT, cleanEnvironment } from '../e2e/processes.ts';
import { type Example, type Ran, examplesOf, matches, runExamples } from '../docs/examples.ts';
import { installClient } from '../docs/client-package.ts';

const EXAMPLES = examplesOf(readFileSync(join(ROOT, 'docs/api.md'), 'utf8'));
const tools = ['curl', 'jq'].every((name) => spawnSync(name, ['--version']).status === 0);

let deployment: Deployment | undefined;
let folder: string;
let described: string;
let ran: Map<Example, Ran> = new Map();

const here = ({ needs }: Example): boolean => needs === undefined || described.includes(needs);

/** A runner whose PC1 waits until `release`. */
async function holdingRunner(world: Deployment): Promise<void> {
  const holding = join(folder, 'holding');
  mkdirSync(holding);
  writeFileSync(join(holding, 'hold-PC1'), '');
  const prover = join(holding, 'prover');
  const program = `'${process.execPath}' --disable-warning=ExperimentalWarning '${join(ROOT, 'test/e2e/holding-prover.ts')}'`;
  writeFileSync(prover, `#!/bin/sh\nexec ${program} '${holding}' "$@"\n`);
  chmodSync(prover, 0o755);
  await world.addRunner('one', { prover });
}

/** What is brought about before the first example of a section. */
const PREPARED: Readonly<Record<string, (world: Deployment) => Promise<void>>> = {
  'Follow what happens': holdingRunner,
  'Abort everything in PC1 of miner t01000': untilInPc1,
  'Find sectors that will miss their deadline': untilInPc1,
  'Read the data of an unsealed sector': async ({ client }) => {
    rmSync(join(folder, 'holding/hold-PC1'));
    for (const { id, state } of (await client.sectors({ limit: 500 })).items)
      if (state !== 'Finished' && state !== 'Aborted') await client.abort(id, { force: true }).catch(() => undefined);
  },
};

async function untilInPc1({ client }: Deployment): Promise<void> {
  for (;;) {
    const { items } = await client.sectors({ state: 'TicketAssigned' });
    if (items.some(({ waiting }) => waiting.for === 'stage')) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

beforeAll(async () => {
  if (!tools) return;
  folder = mkdtempSync(join(tmpdir(), 'sealpool-docs-'));
  mkdirSync(join(folder, 'bin'));
  symlinkSync(join(ROOT, 'bin/sealpool'), join(folder, 'bin/sealpool'));
  installClient(join(folder, 'node_modules'));
  symlinkSync(join(ROOT, 'node_modules/standardwebhooks'), join(folder, 'node_modules/standardwebhooks'));
  copyFileSync(join(ROOT, 'test/import/fixtures/lotus-sectors.json'), join(folder, 'sectors.json'));
  writeFileSync(join(folder, 'film.mkv'), 'a film of 21 bytes …'.repeat(40));
  const threads = '[{ name = "local", sealing_threads = [{ plan = "sealer" }, { plan = "sealer" }, { plan = "unseal" }] }]';
  const world = await Deployment.start({ settings: { SEALPOOL_WORKERS: threads } });
  deployment = world;
  described = await (await fetch(`${world.url}/openapi.json`)).text();
  const { url, token } = world;
  const env = {
    ...cleanEnvironment(),
    PATH: [join(folder, 'bin'), dirname(process.execPath), process.env['PATH']].join(':'),
    SEALPOOL_URL: url,
    SEALPOOL_TOKEN: token,
    // A receiver left behind by a run that was broken off must not answer for this one's.
    RECEIVER_PORT: String(await freePort()),
  };
  const prepared = new Set<string>();
  const before = async ({ heading }: Example): Promise<void> => {
    if (prepared.has(heading)) return;
    prepared.add(heading);
    await PREPARED[heading]?.(world);
  };
  try {
    ran = await runExamples(EXAMPLES.filter(here), folder, env, before);
  } finally {
    const failed = ran.size === 0 || [...ran.values()].some(({ code }) => code !== 0);
    if (failed) console.error(readFileSync(join(world.folder, 'serve.log'), 'utf8').slice(-3_000));
  }
}, 600_000);
afterAll(async () => {
  await deployment?.end();
  if (tools) rmSync(folder, { recursive: true, force: true });
}, 60_000);

test('the preparations are of sections that there are', () => {
  expect(Object.keys(PREPARED).filter((heading) => !EXAMPLES.some((example) => example.heading === heading))).toEqual([]);
});

describe.runIf(tools)('docs/api.md', () => {
  const rows = EXAMPLES.map((example) => [example.line, example.heading, example] as const);
  test.for(rows)('line %i: %s', ([_line, _heading, example], { skip }) => {
    if (!here(example)) skip(`the control plane's description has no ${example.needs}`);
    const found = ran.get(example);
    expect(found, 'an example before it failed').toBeDefined();
    const { printed, errors, code } = found as Ran;
    expect(code, errors).toBe(0);
    if (example.expected !== undefined && !matches(printed, example.expected)) expect(printed).toBe(example.expected);
  });

  test('what it wrote down is there', () => {
    expect(['sealpool-backup.sqlite', 'by-command.mkv'].filter((name) => !existsSync(join(folder, name)))).toEqual([]);
  });
});
