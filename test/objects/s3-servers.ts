/** Real S3 servers on loopback, each with a bucket of its own, in a folder that goes with it. */
import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts, makeBucket } from '../../scripts/demo/s3-server.ts';
import { HAS_WEED, WEED, WEED_PORTS, weedCommand } from '../../scripts/demo/seaweedfs.ts';
import { S3Client } from '@aws-sdk/client-s3';

const CACHE = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'sealpool');
const VERSITYGW = join(CACHE, 'go/bin/versitygw');
export const HAS_SEAWEEDFS = HAS_WEED;
export const HAS_VERSITYGW = existsSync(VERSITYGW);

export const BUCKET = 'sealpool-test';
export const REGION = 'us-east-1';
export const ACCESS_KEY = 'AKIACANARYOFTHETEST1';
export const SECRET_KEY = 'canary/secret+key/of/the/S3/server/012345';

/** The least that a part may have on S3, but the last. */
export const LEAST_PART_BYTES = 5 * 2 ** 20;
/** Many things run on the machine of the tests. */
const START_MS = 60_000;
const START_TRIES = 3;
/** For the hook in which a server starts. */
export const SERVER_HOOK_MS = 90_000;

export type S3Server = {
  readonly endpoint: string;
  readonly pid: number;
  /** A client with all rights, for a look from outside. */
  readonly client: S3Client;
  close(): Promise<void>;
};

type Command = {
  readonly args: readonly string[];
  readonly port: number;
  readonly tls?: boolean;
  readonly env?: Record<string, string>;
  cleanUp?(): void;
};

/** `weed mini`: one process with all parts of SeaweedFS. */
export function startSeaweedfs(): Promise<S3Server> {
  return startServer(WEED, async (folder) => {
    const ports = await freePorts(WEED_PORTS);
    return weedCommand(folder, { accessKey: ACCESS_KEY, secretKey: SECRET_KEY }, ports);
  });
}

/** A certificate and its key, of which this process and its clients have to know (`NODE_EXTRA_CA_CERTS`). */
export type TlsFiles = { readonly cert: string; readonly key: string };

/** versitygw over a folder of plain files. */
export function startVersitygw(tls?: TlsFiles): Promise<S3Server> {
  return startServer(VERSITYGW, async (folder) => {
    const [port = 0] = await freePorts(1);
    const secure = tls === undefined ? [] : ['--cert', tls.cert, '--key', tls.key];
    const args = [...secure, '--port', `127.0.0.1:${port}`, '--region', REGION, '--keep-alive', '--quiet', 'posix', join(folder, 'data')];
    return { args, port, tls: tls !== undefined, env: { ROOT_ACCESS_KEY_ID: ACCESS_KEY, ROOT_SECRET_ACCESS_KEY: SECRET_KEY } };
  });
}

/** A port may be taken between being found free and being used: then with others. */
async function startServer(program: string, command: (folder: string) => Promise<Command>): Promise<S3Server> {
  for (let tries = 1; ; tries++) {
    try {
      return await startOnce(program, command);
    } catch (error) {
      if (tries === START_TRIES) throw error;
    }
  }
}

async function startOnce(program: string, command: (folder: string) => Promise<Command>): Promise<S3Server> {
  const folder = mkdtempSync(join(tmpdir(), 'sealpool-s3-'));
  mkdirSync(join(folder, 'data'));
  const { args, port, tls = false, env, cleanUp } = await command(folder);
  const logFile = join(folder, 'log');
  const log = openSync(logFile, 'a');
  const child = spawn(program, args, { cwd: folder, env: { ...process.env, ...env }, stdio: ['ignore', log, log] });
  closeSync(log);
  // A test that was given up leaves none behind.
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  const gone = new Promise<void>((resolve) => child.once('close', () => resolve()).once('error', () => resolve()));
  const endpoint = `${tls ? 'https' : 'http'}://127.0.0.1:${port}`;
  const client = new S3Client({
    endpoint,
    region: REGION,
    forcePathStyle: true,
    credentials: { accessKeyId: ACCESS_KEY, secretAccessKey: SECRET_KEY },
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    maxAttempts: 1,
  });
  const close = async (): Promise<void> => {
    client.destroy();
    kill();
    await gone;
    process.off('exit', kill);
    cleanUp?.();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await makeBucket(client, BUCKET, () => child.exitCode !== null || child.signalCode !== null, START_MS);
  } catch (error) {
    const said = readFileSync(logFile, 'utf8').slice(-2_000);
    await close();
    throw new Error(`the S3 server does not serve (${String(error)}):\n${said}`, { cause: error });
  }
  return { endpoint, pid: child.pid as number, client, close };
}
