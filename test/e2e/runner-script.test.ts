/** runner.sh on a host with Node and nothing else of ours: real script, real agent in one file, real prover. */
import { chmodSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { RunnerView } from '../../src/api/client.ts';
import { BareHost, HandedOut } from './bare-host.ts';
import { EditingProxy } from './editing-proxy.ts';
import { Deployment } from './processes.ts';

const MOST_MS = 120_000;
const TOOLS = ['node', 'curl', 'sha256sum'];
/** The first stages: what comes after them needs a proof. */
const STAGES = '["AddPiece", "BuildTreeD", "PC1"]';

let folder: string;
let deployment: Deployment | undefined;
let handed: HandedOut;
const hosts: BareHost[] = [];
const proxies: EditingProxy[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sealpool-hosts-'));
  handed = new HandedOut(join(folder, 'handed'));
});
afterEach(async () => {
  rmSync(handed.hold, { force: true });
  for (const host of hosts.splice(0)) await host.end('SIGTERM');
  await deployment?.end();
  deployment = undefined;
  for (const proxy of proxies.splice(0)) await proxy.close();
  rmSync(folder, { recursive: true, force: true });
}, MOST_MS);

async function deploy(settings: Record<string, string> = {}): Promise<Deployment> {
  await handed.write('1.0');
  deployment = await Deployment.start({ settings: { ...handed.settings, ...settings } });
  return deployment;
}

function bareHost(programs: readonly string[] = TOOLS): BareHost {
  const host = new BareHost(join(folder, `host-${hosts.length}`), programs);
  hosts.push(host);
  return host;
}

const script = async (url = deployment?.url): Promise<string> => (await fetch(`${url}/runner.sh`)).text();
const pledged = async (): Promise<string> => ((await (deployment as Deployment).pledge()) as [string])[0];
const token = async (): Promise<string> => (await (deployment as Deployment).client.createJoinToken({ trust: 'own' })).token;

/** Polls until it answers something; throws with what the host said when it does not in time. */
async function soon<T>(host: BareHost, read: () => Promise<T | undefined> | T | undefined): Promise<T> {
  const limit = Date.now() + MOST_MS;
  for (;;) {
    const found = await Promise.resolve(read()).catch(() => undefined);
    if (found !== undefined) return found;
    if (Date.now() > limit) throw new Error(`it did not come to that; the host says:\n${host.output}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const registered = (host: BareHost, holds: (runner: RunnerView) => boolean = () => true): Promise<RunnerView> =>
  soon(host, async () => (await deployment?.client.runners())?.items.find(holds));

/** Until agents have said so often on the host that they serve. */
const serving = (host: BareHost, times: number): Promise<true> =>
  soon(host, () => (host.output.split('{"ready":true').length > times ? true : undefined));

/** Arguments of every process of this machine. */
const commandLines = (): string =>
  readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      } catch {
        return '';
      }
    })
    .join('\n');

test('with Node and curl it brings up a runner that does its stages, and goes on as the same one', { timeout: 2 * MOST_MS }, async () => {
  const { client } = await deploy();
  const host = bareHost();
  const secret = await token();
  host.run(await script(), { SEALPOOL_RUNNER_JOIN_TOKEN: secret, SEALPOOL_RUNNER_NAME: 'bare', SEALPOOL_RUNNER_STAGES: STAGES });
  const runner = await registered(host, ({ resources }) => resources.network !== undefined);
  expect(runner).toMatchObject({ name: 'bare', trust: 'own', agentVersion: '1.0', stages: JSON.parse(STAGES) });
  expect(commandLines()).toContain('launch');
  expect(commandLines()).not.toContain(secret);
  const job = await pledged();
  const detail = await deployment?.until(job, ({ attempts }) => attempts.some(({ stage, status }) => stage === 'PC1' && status === 'done'));
  expect(detail?.attempts.every((attempt) => attempt.runner === runner.id)).toBe(true);
  const seen = readFileSync(handed.environment, 'utf8');
  expect(seen).toContain(`HOME=${host.home}`);
  expect(seen).not.toMatch(/sp-join-|sp-run-|JOIN_TOKEN/);
  // All that it made is in its one folder, which only its user reads; the prover has its caches.
  expect(readdirSync(host.home).toSorted()).toEqual(['.cache', 'sealpool-runner']);
  expect(statSync(join(host.home, 'sealpool-runner')).mode & 0o077).toBe(0);
  expect(await host.end('SIGTERM')).toBe(0);
  // The agent ended in order, not only whatever started it.
  expect(readdirSync(join(host.home, 'sealpool-runner')).filter((name) => name.endsWith('.sock'))).toEqual([]);
  // Without a token, and with what it has: nothing is fetched anew.
  const files = readdirSync(join(host.home, 'sealpool-runner/software'));
  host.run(await script(), { SEALPOOL_RUNNER_NAME: 'bare', SEALPOOL_RUNNER_STAGES: STAGES });
  await serving(host, 2);
  expect((await client.runners()).items.map(({ id }) => id)).toEqual([runner.id]);
  expect(readdirSync(join(host.home, 'sealpool-runner/software'))).toEqual(files);
});

test(
  'an upgrade: the stage in flight finishes on the old version, the same runner goes on with the new one',
  { timeout: 3 * MOST_MS },
  async () => {
    const { client, controlPlane } = await deploy();
    const host = bareHost();
    host.run(await script(), { SEALPOOL_RUNNER_JOIN_TOKEN: await token(), SEALPOOL_RUNNER_STAGES: STAGES });
    const { id } = await registered(host);
    writeFileSync(handed.hold, '');
    const job = await pledged();
    await soon(host, () => (handed.ran.length > 0 ? true : undefined));
    await controlPlane.end('SIGTERM');
    await handed.write('2.0');
    await controlPlane.start();
    await soon(host, () => (host.output.includes('it finishes what runs and starts anew') ? true : undefined));
    expect((await client.runner(id)).agentVersion).toBe('1.0');
    expect((await client.runner(id)).running.map(({ stage }) => stage)).toEqual(['AddPiece']);
    rmSync(handed.hold);
    await registered(host, (runner) => runner.agentVersion === '2.0');
    const detail = await deployment?.until(job, ({ attempts }) =>
      attempts.some(({ stage, status }) => stage === 'PC1' && status === 'done'),
    );
    expect(detail?.attempts.map(({ stage, status, runner }) => [stage, status, runner])).toEqual(
      ['AddPiece', 'BuildTreeD', 'PC1'].map((stage) => [stage, 'done', id]),
    );
    expect(handed.ran).toEqual(['1.0', '2.0', '2.0']);
    expect((await client.runners()).items).toHaveLength(1);
    // What is no longer run is gone.
    expect(readdirSync(join(host.home, 'sealpool-runner/software'))).toHaveLength(2);
    expect(await host.end('SIGTERM')).toBe(0);
  },
);

test('what does not have its hash is not run: neither at the start, nor at an upgrade', { timeout: 3 * MOST_MS }, async () => {
  const proxy = await EditingProxy.listen();
  proxies.push(proxy);
  const { controlPlane } = await deploy({ SEALPOOL_PUBLIC_URL: proxy.url });
  proxy.target = (deployment as Deployment).url;
  const ran = join(folder, 'evil-ran');
  const evil = (path: string, bytes: Buffer): Buffer => {
    if (!/^\/runner\/[0-9a-f]{64}$/.test(path)) return bytes;
    const code = bytes.toString().startsWith('#!') ? `#!/bin/sh\n: >'${ran}'\n` : `require('fs').writeFileSync('${ran}','')\n`;
    return Buffer.from(code.padEnd(bytes.length, '\n'));
  };
  proxy.edit = evil;
  const host = bareHost();
  const start = async () =>
    host.run(await script(proxy.url), { SEALPOOL_RUNNER_JOIN_TOKEN: await token(), SEALPOOL_RUNNER_STAGES: STAGES });
  await start();
  expect(await host.ended()).toBe(1);
  expect(host.output).toContain('does not have the hash in its name');
  expect(readdirSync(join(host.home, 'sealpool-runner/software'))).toEqual([]);
  proxy.edit = (_, bytes) => bytes;
  await start();
  await registered(host);
  // Nor what lies in the cache under its name.
  await host.end('SIGTERM');
  const cached = readdirSync(join(host.home, 'sealpool-runner/software')).map((name) => join(host.home, 'sealpool-runner/software', name));
  for (const path of cached) writeFileSync(path, `#!/bin/sh\n: >'${ran}'\n`);
  await start();
  await serving(host, 2);
  proxy.edit = evil;
  await controlPlane.end('SIGTERM');
  await handed.write('2.0');
  await controlPlane.start();
  await soon(host, () => (/is not the file with the hash/.test(host.output) ? true : undefined));
  proxy.edit = (_, bytes) => bytes;
  await registered(host, ({ agentVersion }) => agentVersion === '2.0');
  expect(existsSync(ran)).toBe(false);
});

test('what is missing or wrong is said, with what to do, before anything is made', { timeout: MOST_MS }, async () => {
  await deploy();
  const secret = await token();
  const text = await script();
  const said = async (
    programs: readonly string[],
    change: (host: BareHost) => void = () => undefined,
    given = text,
    variables: Record<string, string> = {},
  ) => {
    const host = bareHost(programs);
    change(host);
    host.run(given, { SEALPOOL_RUNNER_JOIN_TOKEN: secret, ...variables });
    expect(await host.ended()).toBe(1);
    return host.output;
  };
  expect(await said(['node', 'sha256sum'])).toMatch(/curl is missing, and wget too; install one of them/);
  expect(await said(['node', 'curl'])).toMatch(/sha256sum is missing; install coreutils/);
  expect(await said(['curl', 'sha256sum'])).toMatch(/there is no Node 22\.12 or newer here, no podman and no docker; install one/);
  const old = (host: BareHost): void => host.program('node', 'case $1 in --version) echo v18.20.4 ;; *) exit 1 ;; esac');
  expect(await said(['curl', 'sha256sum'], old)).toMatch(/this Node is v18\.20\.4 and the runner needs 22\.12 or newer/);
  const arm = (host: BareHost): void => {
    rmSync(join(host.bin, 'uname'));
    host.program('uname', 'case $1 in -m) echo riscv64 ;; *) echo Linux ;; esac');
  };
  expect(await said(TOOLS, arm)).toMatch(/hands out software for \w+ and this host is riscv64/);
  const mac = (host: BareHost): void => {
    rmSync(join(host.bin, 'uname'));
    host.program('uname', 'echo Darwin');
  };
  expect(await said(TOOLS, mac)).toMatch(/runners run on Linux and this is Darwin/);
  const busy = (host: BareHost): void => host.program('wget', 'echo "BusyBox v1.35.0 multi-call binary."');
  expect(await said(['node', 'sha256sum'], busy, text.replaceAll("url='http:", "url='https:"))).toMatch(
    /this wget does not check certificates; install curl/,
  );
  expect(await said(TOOLS, undefined, text, { SEALPOOL_RUNNER_JOIN_TOKEN: '' })).toMatch(/SEALPOOL_RUNNER_JOIN_TOKEN is not set/);
  // A script that breaks off on its way does nothing at all.
  const host = bareHost();
  host.run(text.slice(0, -'main\n'.length), { SEALPOOL_RUNNER_JOIN_TOKEN: secret });
  expect([await host.ended(), host.output, readdirSync(host.home)]).toEqual([0, '', []]);
  // A prover that does not start here.
  writeFileSync(handed.prover, '#!/nowhere/ld-linux.so\n');
  chmodSync(handed.prover, 0o755);
  await deployment?.controlPlane.end('SIGTERM');
  await deployment?.controlPlane.start();
  expect(await said(TOOLS, undefined, await script())).toMatch(/the prover does not start here; it needs glibc/);
});
