/** `STORE=s3`: a SeaweedFS of the demo's own, whose key nobody but the control plane has. */
import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createWriteStream, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { S3Client } from '@aws-sdk/client-s3';
import { freePorts, makeBucket } from './s3-server.ts';
import { HAS_WEED, type S3Key, WEED, WEED_PORTS, weedCommand } from './seaweedfs.ts';

const BUCKET = 'sealpool-demo';
const REGION = 'us-east-1';
const START_MS = 120_000;

export interface S3Store {
  readonly endpoint: string;
  readonly key: S3Key;
  /** For the control plane's environment: where the key is, and not the key. */
  readonly environment: Readonly<Record<string, string>>;
  /** Ports of SeaweedFS that ask for no key: nobody else may reach them. */
  readonly inner: readonly number[];
  end(): Promise<void>;
}

/** What stands against it here, as a sentence; undefined: nothing. */
export function missingForS3(): string | undefined {
  if (HAS_WEED) return undefined;
  return `SeaweedFS is missing (${WEED}); run scripts/python-packages.sh, or make demo without STORE`;
}

/** Starts it, or goes on with what it held before. `host`: the address it is reached at, where that is not this machine's loopback. */
export async function startS3(dataDir: string, host?: string): Promise<S3Store> {
  const folder = join(dataDir, 's3');
  mkdirSync(join(folder, 'data'), { recursive: true, mode: 0o700 });
  mkdirSync(join(dataDir, 'logs'), { recursive: true });
  const key = { accessKey: secret(folder, 'access_key', 10), secretKey: secret(folder, 'secret_key', 24) };
  // It knows its own parts by their ports, so they stay.
  const portFile = join(folder, 'ports.json');
  if (!existsSync(portFile)) writeFileSync(portFile, JSON.stringify(await freePorts(WEED_PORTS)));
  const ports = JSON.parse(readFileSync(portFile, 'utf8')) as number[];
  const { args, port, cleanUp } = weedCommand(folder, key, ports);
  const log = createWriteStream(join(dataDir, 'logs/seaweedfs.log'), { flags: 'a' });
  // It ends with the demo, also when that is killed.
  const bound = spawnSync('setpriv', ['--pdeathsig', 'KILL', 'true']).status === 0 ? ['setpriv', '--pdeathsig', 'KILL'] : [];
  const [program = WEED, ...rest] = [...bound, WEED, ...args];
  const child = spawn(program, rest, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  for (const stream of [child.stdout, child.stderr]) stream.pipe(log, { end: false });
  const gone = new Promise<void>((resolve) => child.once('close', () => resolve()).once('error', () => resolve()));
  const door = host === undefined ? undefined : await openDoor(host, port);
  const endpoint = host === undefined ? `http://127.0.0.1:${port}` : `http://${host}:${door?.port}`;
  const end = async (): Promise<void> => {
    door?.close();
    child.kill('SIGTERM');
    const late = setTimeout(() => child.kill('SIGKILL'), 10_000);
    await gone;
    clearTimeout(late);
    cleanUp();
    log.end();
  };
  const credentials = { accessKeyId: key.accessKey, secretAccessKey: key.secretKey };
  const client = new S3Client({ endpoint, region: REGION, forcePathStyle: true, credentials, maxAttempts: 1 });
  try {
    await makeBucket(client, BUCKET, () => child.exitCode !== null || child.signalCode !== null, START_MS);
  } catch (error) {
    await end();
    throw new Error(`SeaweedFS does not serve (${(error as Error).message}); its log is in ${join(dataDir, 'logs')}`, { cause: error });
  } finally {
    client.destroy();
  }
  const environment = {
    SEALPOOL_OBJECTS_S3_ENDPOINT: endpoint,
    SEALPOOL_OBJECTS_S3_BUCKET: BUCKET,
    SEALPOOL_OBJECTS_S3_REGION: REGION,
    SEALPOOL_OBJECTS_S3_ACCESS_KEY_FILE: join(folder, 'access_key'),
    SEALPOOL_OBJECTS_S3_SECRET_KEY_FILE: join(folder, 'secret_key'),
  };
  return { endpoint, key, environment, inner: ports.filter((one) => one !== port), end };
}

/** Made once; mode 0600. */
function secret(folder: string, name: string, bytes: number): string {
  const file = join(folder, name);
  if (!existsSync(file)) writeFileSync(file, randomBytes(bytes).toString('hex'), { mode: 0o600 });
  return readFileSync(file, 'utf8').trim();
}

/** Hands connections to `host` on to the S3 port, and to nothing else of SeaweedFS. */
async function openDoor(host: string, to: number): Promise<{ readonly port: number; close(): void }> {
  const server = createServer((outer) => {
    const inner = connect(to, '127.0.0.1');
    for (const [one, other] of [
      [outer, inner],
      [inner, outer],
    ] as const) {
      one.pipe(other);
      one.once('error', () => other.destroy()).once('close', () => other.destroy());
    }
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, host, () => resolve()));
  return { port: (server.address() as AddressInfo).port, close: () => void server.close() };
}
