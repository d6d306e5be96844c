/** The configuration: one file, every key also in the environment, unknown keys named with their nearest. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { KEYS } from '../../src/main/config-keys.ts';
import { envName, loadConfig, nearest, secretOf } from '../../src/main/config.ts';
import { settingsOf } from '../../src/main/settings.ts';

let data: string;
beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), 'sealpool-config-'));
});
afterEach(() => rmSync(data, { recursive: true, force: true }));

const load = (toml: string, env: Record<string, string> = {}, flags: Parameters<typeof loadConfig>[0] = {}) => {
  writeFileSync(join(data, 'sealpool.toml'), toml);
  return loadConfig({ flags: { data, ...flags.flags }, env });
};

test('without anything it is the dev network: one miner, one worker local with a thread of each plan, loopback only', () => {
  const config = load('');
  expect(config).toMatchObject({ listen: '127.0.0.1', network: 'dev', port: 5230 });
  expect(settingsOf(config)).toMatchObject({
    miners: { t01000: { sealProof: 'StackedDrg2KiBV1_1', allowCc: true } },
    threads: ['sealer', 'snapup', 'rebuild', 'unseal'].map((plan, index) => ({ worker: 'local', index, plan, miner: null, auto: false })),
  });
});

test('ranges, limits, retries and what a thread takes reach the engine as it counts them', () => {
  const toml = `
[[miners]]
id = "t01000"
seal_proof = "StackedDrg2KiBV1_1"
ranges = ["5000-5999", { first = 0, last = 99 }]
auto_fallback = true
expected_epochs = { PC1 = 400 }
priority = -3
[[workers]]
name = "a"
concurrent = { PC1 = 1 }
sealing_threads = [
  { plan = "sealer", auto = true, max_retries = 3, allow_cc = false, max_deals = 4, min_deals = 2 },
  { plan = "snapup", auto = true, ignore_proof_check = true },
]
[scheduler]
waiting_usd_per_hour = 0.25
patience_ms = 60000
concurrent = { C2 = 2 }
staggered_ms = { PC1 = 300000 }
retry = { PC1 = { max_retries = 1 }, SubmitPC = { first_ms = 5 } }
`;
  const settings = settingsOf(load(toml));
  expect(settings).toMatchObject({
    waitingUsdPerHour: 0.25,
    patienceMs: 60_000,
    miners: {
      t01000: {
        ranges: [
          { first: 5000, last: 5999 },
          { first: 0, last: 99 },
        ],
        autoFallback: true,
        expectedEpochs: { PC1: 400 },
        priority: -3,
      },
    },
    threads: [
      { plan: 'sealer', auto: true, maxRetries: 3, allowCc: false, maxDeals: 4, minDeals: 2 },
      { plan: 'snapup', auto: true, skipOnchainCheck: true },
    ],
    limits: { all: { concurrent: { C2: 2 }, staggeredMs: { PC1: 300_000 } }, workers: { a: { concurrent: { PC1: 1 } } } },
    retryOf: { PC1: { maxRetries: 1 }, SubmitPC: { firstWaitMs: 5 } },
  });
  expect(settingsOf(load('')).limits).toBeUndefined();
});

const miner = (id: string) => `[[miners]]\nid = "${id}"\nseal_proof = "StackedDrg2KiBV1_1"\n`;

test('auto without a miner is refused where several are configured', () => {
  const config = load(`${miner('t01000')}${miner('t01001')}[[workers]]\nname = "a"\nauto = true`);
  expect(() => settingsOf(config)).toThrow(/worker a is auto without a miner, and 2 are configured; name its miner/);
});

test.each([
  ['heartbeat_ms = 10001', 'scheduler.lease_ms is 20000 and scheduler.heartbeat_ms 10001', 'at least 20002'],
  ['lease_ms = 13999', 'scheduler.lease_ms is 13999 and scheduler.heartbeat_ms 7000', 'at least 14000'],
  ['retry_first_ms = 600001', 'scheduler.retry_first_ms is 600001 and scheduler.retry_max_ms 600000', 'the longer'],
  ['retry = { PC1 = { first_ms = 600001 } }', 'scheduler.retry.PC1.first_ms is 600001 and the longest wait 600000', 'max_ms'],
  ['retry = { PC1 = { max_ms = 999 } }', 'scheduler.retry.PC1.first_ms is 1000 and the longest wait 999', 'max_ms'],
])('%s does not fit the key beside it: refused with both and what to do', (toml, both, what) => {
  const settings = () => settingsOf(load(`[scheduler]\n${toml}`));
  expect(settings).toThrow(expect.objectContaining({ code: 'configuration', message: expect.stringContaining(both) }));
  expect(settings).toThrow(what);
});

test('times that just fit each other are taken', () => {
  const toml = 'heartbeat_ms = 10000\nretry_first_ms = 5\nretry_max_ms = 5\nretry = { PC1 = { max_ms = 5 } }';
  expect(settingsOf(load(`[scheduler]\n${toml}`))).toMatchObject({ heartbeatMs: 10_000, leaseMs: 20_000 });
});

test('grace is given by stage, and what is not named keeps its own', () => {
  const usual = { PC1: 120_000, CheckSealed: 120_000, Unseal: 120_000 };
  expect(settingsOf(load('')).graceMs).toEqual(usual);
  expect(settingsOf(load('[scheduler]\ngrace_ms = { Unseal = 0, PC2 = 5 }')).graceMs).toEqual({ ...usual, Unseal: 0, PC2: 5 });
  expect(settingsOf(load('', { SEALPOOL_SCHEDULER_GRACE_MS: '{ PC1 = 0 }' })).graceMs).toEqual({ ...usual, PC1: 0 });
});

test('flags count more than the environment, that more than the file', () => {
  const toml = 'port = 1\nlisten = "127.0.0.2"\nlog_level = "warn"\n[chain]\nurl = "http://file.test/rpc/v1"\n';
  const config = load(
    toml,
    { SEALPOOL_PORT: '2', SEALPOOL_LISTEN: '127.0.0.3', SEALPOOL_CHAIN_URL: 'http://env.test/rpc/v1' },
    { flags: { port: 3 } },
  );
  expect(config).toMatchObject({ port: 3, listen: '127.0.0.3', log_level: 'warn', 'chain.url': 'http://env.test/rpc/v1' });
});

test('lists and tables come from the environment as TOML values', () => {
  const config = load('', {
    SEALPOOL_MINERS: '[{ id = "t02000", seal_proof = "StackedDrg32GiBV1_1", first_sector = 100, last_sector = 199 }]',
    SEALPOOL_WORKERS: '[{ name = "a", threads = 2 }, { name = "b", auto = true, miner = "t02000" }]',
    SEALPOOL_TOKEN: '12345',
  });
  expect(config.token).toBe('12345');
  expect(settingsOf(config)).toMatchObject({
    miners: { t02000: { firstSector: 100, lastSector: 199 } },
    threads: [
      { worker: 'a', index: 0 },
      { worker: 'a', index: 1 },
      { worker: 'b', index: 0, auto: true, miner: 't02000' },
    ],
  });
});

test.each([
  ['prot = 1', /prot in .*sealpool\.toml is no key of the configuration; did you mean port\?/],
  ['[chain]\nulr = "x"', /chain\.ulr in .* did you mean chain\.url\?/],
  ['[chian]\nurl = "x"', /chian in .* did you mean/],
  ['port = "many"', /port in .*: .*expected number/],
  ['port = 70000', /port in .*65535/],
  ['[[miners]]\nid = "1000"\nseal_proof = "StackedDrg2KiBV1_1"', /miners in .* \(0\.id\): a miner is written t01000/],
  ['[[miners]]\nid = "t01000"\nseal_prof = "x"', /miners in .*/],
  ['port =', /is not valid TOML/],
  ['[[workers]]\nname = "a"\nplan = "rebuild"\nauto = true', /workers in .* \(0\.auto\): a thread with the rebuild plan cannot be auto/],
  [
    '[[workers]]\nname = "a"\nsealing_threads = [{ plan = "unseal", auto = true }]',
    /\(0\.sealing_threads\.0\.auto\): a thread with the unseal plan cannot be auto/,
  ],
  ['[[miners]]\nid = "t01000"\nseal_proof = "StackedDrg2KiBV1_1"\nranges = ["9-3"]', /ranges\.0\): a range begins with its lowest number/],
  [
    `${miner('t01000')}${miner('t01001')}${miner('t01000')}`,
    /miners in .* \(2\.id\): miner t01000 stands in the list twice; leave one of the two entries out/,
  ],
  [`${miner('t01000')}${miner('f01000')}`, /miners in .* \(1\.id\): miner f01000 stands in the list twice, as t01000 before; leave one/],
  [
    '[[workers]]\nname = "a"\n[[workers]]\nname = "a"',
    /workers in .* \(1\.name\): worker a stands in the list twice; give each a name of its own/,
  ],
  [
    `${miner('t01000')}first_sector = 9\nlast_sector = 3`,
    /miners in .* \(0\.last_sector\): last_sector 3 is below first_sector 9, which leaves no number; give first_sector the lower one/,
  ],
  [`${miner('t01000')}first_sector = 2000000000000`, /\(0\.last_sector\): last_sector 1099511627776 is below first_sector 2000000000000/],
  ['[scheduler]\npc1_grace_ms = 0', /scheduler\.pc1_grace_ms in .* is no key of the configuration; did you mean scheduler\.grace_ms\?/],
  ['[scheduler]\ngrace_ms = 0', /scheduler\.grace_ms in .*expected record/],
  ['[scheduler]\nconcurrent = { PC3 = 1 }', /scheduler\.concurrent in .*/],
  ['[scheduler]\nretry = { PC1 = { tries = 1 } }', /scheduler\.retry in .* \(PC1\)/],
])('%s is refused with where and why', (toml, sentence) => {
  expect(() => load(toml)).toThrow(sentence);
});

test('a variable of ours that is not known is refused, those of others are left alone', () => {
  expect(() => load('', { SEALPOOL_LISTN: 'x' })).toThrow(/SEALPOOL_LISTN is no key of the configuration; did you mean SEALPOOL_LISTEN\?/);
  expect(() => load('', { PATH: '/bin', SEALPOOLX: 'x' })).not.toThrow();
});

test('what the prover reads, and what Kubernetes tells of a service named sealpool, is no key of ours and passed over', () => {
  const links = {
    SEALPOOL_SERVICE_HOST: '10.0.0.11',
    SEALPOOL_SERVICE_PORT: '5230',
    SEALPOOL_SERVICE_PORT_HTTP: '5230',
    SEALPOOL_PORT: 'tcp://10.0.0.11:5230',
    SEALPOOL_PORT_5230_TCP: 'tcp://10.0.0.11:5230',
    SEALPOOL_PORT_5230_TCP_PROTO: 'tcp',
    SEALPOOL_PORT_5230_TCP_PORT: '5230',
    SEALPOOL_PORT_5230_TCP_ADDR: '10.0.0.11',
    SEALPOOL_CONTROL_PLANE_SERVICE_HOST: '10.0.0.12',
    SEALPOOL_CONTROL_PLANE_SERVICE_PORT: '5230',
    SEALPOOL_CONTROL_PLANE_PORT: 'tcp://10.0.0.12:5230',
    SEALPOOL_CONTROL_PLANE_PORT_5230_TCP_ADDR: '10.0.0.12',
  };
  const env = { ...links, SEALPOOL_DEV_PARAMETERS: '/parameters', SEALPOOL_PARAM_GATEWAYS: 'https://gateway.test' };
  expect(load('port = 7', env).port).toBe(7);
  expect(load('port = 7', { ...env, SEALPOOL_PORT: '8' }).port).toBe(8);
  expect(() => load('', { SEALPOOL_PORT: 'many' })).toThrow(/SEALPOOL_PORT: .*expected number/);
  expect(() => load('', { SEALPOOL_SERVICE: 'x' })).toThrow(/SEALPOOL_SERVICE is no key of the configuration/);
});

const PAIRS = [
  ['token', 'token_file'],
  ['chain.token', 'chain.token_file'],
  ['objects.s3.access_key', 'objects.s3.access_key_file'],
  ['objects.s3.secret_key', 'objects.s3.secret_key_file'],
  ['runner.join_token', 'runner.join_token_file'],
] as const;

test.each(PAIRS)('%s and %s are one secret: the source that counts more wins, whichever of the two it names', (secret, file) => {
  const fromFile = (key: string) => `${key} = "of-the-file"\n`;
  const both = (config: ReturnType<typeof load>) => [config[secret], config[file]];
  expect(both(load(fromFile(secret), { [envName(file)]: '/env' }))).toEqual([undefined, '/env']);
  expect(both(load(fromFile(file), { [envName(secret)]: 'env' }))).toEqual(['env', undefined]);
  expect(both(load(fromFile(secret), { [envName(secret)]: 'env' }, { flags: { [file]: '/flag' } }))).toEqual([undefined, '/flag']);
  expect(both(load(fromFile(secret) + fromFile(file)))).toEqual(['of-the-file', 'of-the-file']);
});

test('a file that was named must be there; one that was not named need not', () => {
  expect(() => loadConfig({ flags: { config: join(data, 'none.toml') }, env: {} })).toThrow(/is not there; name one that is with --config/);
  expect(() => secretOf(undefined, join(data, 'none.token'))).toThrow(/cannot be read \(ENOENT\)/);
});

test('it says which file it was read from, as a path that holds in any folder', () => {
  expect(load('port = 1').config).toBe(join(data, 'sealpool.toml'));
  const named = join(data, 'other.toml');
  writeFileSync(named, 'config = "elsewhere.toml"');
  expect(loadConfig({ flags: { data, config: relative(process.cwd(), named) }, env: {} }).config).toBe(named);
  expect(loadConfig({ flags: { data: join(data, 'none') }, env: {} }).config).toBeUndefined();
});

/** Whether one letter more, less or another makes one of the other. */
function oneLetterOff(one: string, other: string): boolean {
  const [short, long] = one.length <= other.length ? [one, other] : [other, one];
  if (long.length - short.length > 1) return false;
  const at = [...long].findIndex((letter, index) => letter !== short[index]);
  return short.slice(at + (long.length === short.length ? 1 : 0)) === long.slice(at + 1);
}

test('the nearest to a key without its last letter may be another one that is as near', () => {
  expect(oneLetterOff('runner.container_cpus', 'runner.container_cpuse')).toBe(true);
  expect(oneLetterOff('runner.container_cpuset', 'runner.container_cpuse')).toBe(true);
  expect(oneLetterOff('runner.slots', 'runner.spots')).toBe(true);
  expect(oneLetterOff('runner.slots', 'runner.name')).toBe(false);
});

test('every key has a spelling of its own in the environment, and the nearest to a typing error is the key meant', () => {
  const names = Object.keys(KEYS);
  expect(new Set(names.map(envName)).size).toBe(names.length);
  fc.assert(
    fc.property(fc.constantFrom(...names.filter((name) => name.length > 6)), fc.nat(), (name, at) => {
      const position = at % name.length;
      const typed = name.slice(0, position) + name.slice(position + 1);
      expect(typed === name || names.includes(nearest(typed, names))).toBe(true);
      // One letter left out: no other key is nearer, and seldom one as near (`container_cpuse`).
      const asNear = names.filter((other) => other === name || oneLetterOff(other, typed));
      if (!names.includes(typed)) expect(asNear).toContain(nearest(typed, names));
    }),
  );
});

test('docs/operating.md describes every key, and none that is not there', () => {
  const text = readFileSync(join(import.meta.dirname, '../../docs/operating.md'), 'utf8');
  const section = text.slice(text.indexOf('## Configuration'), text.indexOf('## Access'));
  const rows = section.split('\n').filter((line) => line.startsWith('| `'));
  const described = rows.flatMap((line) => [...(line.split(' | ')[0] ?? '').matchAll(/`([^`]+)`/g)].map(([, key]) => key));
  expect(described).toEqual(Object.keys(KEYS));
});
