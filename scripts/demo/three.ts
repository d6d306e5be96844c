/** `TOPOLOGY=three`: control plane and dev chain in the hub, three runners on machines that reach nothing but the control plane. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { createClient } from '../../src/api/client.ts';
import type { DevProcess } from './dev-process.ts';
import { HUB_ADDRESS, addressOf, connect, inside, openHub, spawnApart } from './namespaces.ts';
import { type Machine, showNoKey, showS3Only, tried } from './three-s3.ts';
import { type S3Store, startS3 } from './s3-store.ts';
import { printLine } from './progress-line.ts';

const MACHINES = [
  { name: 'pc1-box', trust: 'own', stages: ['AddPiece', 'BuildTreeD', 'PC1', 'C1'], storage: false },
  { name: 'gpu-box', trust: 'rented', stages: ['PC2', 'C2'], storage: false },
  { name: 'storage-box', trust: 'own', stages: ['Persist', 'Verify'], storage: true },
] as const;

type Ready = { readonly url: string; readonly tokenFile: string };

export interface ThreeOptions {
  /** A stand-in for tests, whose proofs the chain then takes. */
  readonly prover: string | undefined;
  /** Files go through an S3 server, and not through the control plane. */
  readonly s3: boolean;
}

/** Starts everything and shows that the runners are apart. */
export async function startThree(root: string, dataDir: string, { prover, s3: wantsS3 }: ThreeOptions): Promise<DevProcess> {
  const children: ChildProcess[] = [];
  let s3: S3Store | undefined;
  const program = join(root, 'bin/sealpool');
  const end = async (): Promise<void> => {
    // The runners first: their last reports need the control plane, whose messages need the chain.
    for (const child of children.toReversed()) await ended(child);
    await s3?.end();
  };
  mkdirSync(join(dataDir, 'logs'), { recursive: true });
  openHub();
  try {
    const start = (child: ChildProcess, name: string): Promise<Ready> => {
      children.push(child);
      return ready(child, name, join(dataDir, 'logs', `${name}.log`));
    };
    const here = (args: string[], env: Record<string, string>): ChildProcess =>
      spawn(program, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    if (wantsS3) s3 = await startS3(dataDir, HUB_ADDRESS);
    const replay = prover === undefined ? [] : ['--accept-replay'];
    const chain = await start(here(['devnet', '--data', join(dataDir, 'devnet'), '--port', '0', ...replay], {}), 'devnet');
    const plane = await start(
      here(['serve', '--data', dataDir, '--port', '0'], {
        SEALPOOL_LISTEN: HUB_ADDRESS,
        SEALPOOL_CHAIN_URL: `${chain.url}/rpc/v1`,
        SEALPOOL_CHAIN_TOKEN_FILE: chain.tokenFile,
        ...s3?.environment,
      }),
      'serve',
    );
    const admin = createClient({ baseUrl: plane.url, token: readFileSync(plane.tokenFile, 'utf8').trim() });
    const machines: Machine[] = [];
    for (const [at, { name, trust, stages, storage }] of MACHINES.entries()) {
      const { token } = await admin.createJoinToken({ trust });
      const folder = join(dataDir, 'storage');
      mkdirSync(folder, { recursive: true });
      const child = spawnApart(program, ['runner', '--data', join(dataDir, name), '--port', '0', '--url', plane.url], {
        SEALPOOL_RUNNER_NAME: name,
        SEALPOOL_RUNNER_JOIN_TOKEN: token,
        SEALPOOL_RUNNER_STAGES: JSON.stringify(stages),
        ...(storage ? { SEALPOOL_RUNNER_STORAGE: `[{ id = "local", path = ${JSON.stringify(folder)} }]` } : {}),
        ...(prover === undefined ? {} : { SEALPOOL_PROVER: prover }),
      });
      const serving = start(child, name);
      await connect(child, at + 1);
      const { url } = await serving;
      machines.push({ name, pid: String(child.pid), address: addressOf(at + 1), healthPort: new URL(url).port });
    }
    showApart(machines, new URL(plane.url).port);
    if (s3 !== undefined) showS3Only(machines, s3);
    const died = Promise.race(children.map((child) => gone(child))).then((): never => {
      throw new Error(`a process of the demo ended by itself; its log is in ${join(dataDir, 'logs')}`);
    });
    died.catch(() => undefined);
    const show = (): void => {
      // The second process that was started.
      if (s3 !== undefined) showNoKey(machines, s3, dataDir, String(children[1]?.pid));
    };
    return { url: plane.url, tokenFile: plane.tokenFile, chainUrl: chain.url, died, end, show };
  } catch (error) {
    await end();
    throw error;
  }
}

/** Tries every way from one machine to another, and what listens on each. Throws where something is open. */
function showApart(machines: readonly Machine[], port: string): void {
  for (const from of machines) {
    const out = tried(from, HUB_ADDRESS, port);
    printLine(`${from.name} (${from.address}) → control plane: ${out}`);
    if (out !== 'connected') throw new Error(`${from.name} does not reach the control plane: ${out}`);
    // Even where its owner gives it a route to the others, as root on it can.
    inside(from.pid, 'ip', 'route', 'add', '10.91.0.0/16', 'via', from.address.replace(/2$/, '1'));
    for (const to of machines) {
      if (to === from) continue;
      const answer = tried(from, to.address, to.healthPort);
      printLine(`  ${from.name} → ${to.name} (${to.address}): ${answer}`);
      if (answer === 'connected' || answer === 'ECONNREFUSED') throw new Error(`${from.name} reaches ${to.name}`);
    }
    inside(from.pid, 'ip', 'route', 'del', '10.91.0.0/16');
    const open = listeners(from).filter((address) => address !== '127.0.0.1');
    printLine(`  listens where others could reach it: ${open.length === 0 ? 'nothing' : open.join(', ')}`);
    if (open.length > 0) throw new Error(`${from.name} listens on ${open.join(', ')}`);
  }
}

const LISTENING = '0A';

/** Addresses on which something listens in the machine's namespace, as its kernel says. */
function listeners({ pid }: Machine): string[] {
  const lines = inside(pid, 'cat', '/proc/net/tcp', '/proc/net/tcp6').split('\n');
  return lines
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[3] === LISTENING)
    .map((fields) => {
      const hex = fields[1]?.split(':')[0] ?? '';
      // Bytes of an address of version 4 stand in the machine's order.
      return hex.length === 8
        ? (hex.match(/../g) ?? [])
            .toReversed()
            .map((byte) => Number.parseInt(byte, 16))
            .join('.')
        : hex;
    });
}

async function ready(child: ChildProcess, name: string, log: string): Promise<Ready> {
  child.stderr?.pipe(createWriteStream(log, { flags: 'a' }));
  const line = new Promise<string>((resolve) => createInterface({ input: child.stdout as Readable }).once('line', resolve));
  const over = gone(child).then((): never => {
    throw new Error(`sealpool ${name} ended before it served; its log is ${log}`);
  });
  over.catch(() => undefined);
  return JSON.parse(await Promise.race([line, over])) as Ready;
}

const isGone = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null;

function gone(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (isGone(child)) resolve();
    else child.once('exit', () => resolve());
  });
}

async function ended(child: ChildProcess): Promise<void> {
  if (isGone(child)) return;
  child.kill('SIGTERM');
  await gone(child);
}
