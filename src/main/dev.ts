/**
 * `sealpool dev`: supervises control plane, dev chain and one own local runner as three processes. A child
 * that crashes starts again on the same port; all end with the supervisor, even when that is killed.
 */
import { existsSync } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createClient } from '../api/client.ts';
import { SealpoolError } from '../schema/problem.ts';
import { writeSecretFile } from './admin-token.ts';
import { SupervisedChild } from './child.ts';
import { type Config, envName, secretOf } from './config.ts';
import { askedToEnd, printReady } from './ready.ts';

const ENTRY = join(import.meta.dirname, 'sealpool.ts');
const STORAGE = 'local';

/** Runs until asked to end; rejects with the log's name when a child does not start at all. */
export async function dev(config: Config): Promise<void> {
  refuseForeign(config);
  const asked = askedToEnd();
  const data = resolve(config.data);
  const logs = join(data, 'logs');
  for (const folder of [data, logs, join(data, 'devnet'), join(data, 'runner'), join(data, 'storage')]) await makeFolder(folder);
  const children: SupervisedChild[] = [];
  // Named to all: a child has its own --data and would look for the file there.
  const file = config.config === undefined ? [] : ['--config', config.config];
  const start: Start = (name, args, env = {}) => {
    const child = new SupervisedChild({
      name,
      arguments: async () => [ENTRY, name, ...file, ...(await args())],
      env,
      logFile: join(logs, `${name}.log`),
      say: (sentence) => void process.stderr.write(`${sentence}\n`),
    });
    children.push(child);
    return child;
  };
  try {
    const result = await Promise.race([asked.then(() => undefined), startAll(config, data, start)]);
    if (result !== undefined) {
      printReady(result);
      await asked;
    }
  } finally {
    // The runner first: its last reports need the control plane, whose messages need the chain.
    for (const child of children.reverse()) await child.end();
  }
}

type Environment = Record<string, string | undefined>;
type Start = (name: string, args: () => Promise<string[]> | string[], env?: Environment) => SupervisedChild;

async function startAll(config: Config, data: string, start: Start) {
  // A port that was free once is asked for again after a crash: URLs in hand stay good.
  let chainPort = config['devnet.port'];
  const replay = config['devnet.accept_replay'] ? ['--accept-replay'] : [];
  const chain = start('devnet', () => ['--data', join(data, 'devnet'), '--port', String(chainPort), ...replay]);
  const { url: chainUrl, tokenFile: chainToken } = await serving(chain, 'devnet', data);
  chainPort = Number(new URL(chainUrl).port);

  let port = config.port;
  const controlPlane = start('serve', () => ['--data', data, '--port', String(port)], {
    [envName('chain.url')]: `${chainUrl}/rpc/v1`,
    [envName('chain.token_file')]: chainToken,
  });
  const { url, tokenFile, warning } = await serving(controlPlane, 'serve', data);
  port = Number(new URL(url).port);

  const joinFile = join(data, 'runner.join');
  const runner = start(
    'runner',
    async () => {
      // A runner killed between joining and keeping its credential needs a new token: they work once.
      if (!existsSync(join(data, 'runner', 'runner.json'))) await writeJoinToken(url, tokenFile, joinFile);
      return ['--data', join(data, 'runner'), '--port', '0', '--url', url, '--join-token-file', joinFile];
    },
    {
      ...NO_S3_KEYS,
      [envName('runner.storage')]: `[{ id = ${JSON.stringify(STORAGE)}, path = ${JSON.stringify(join(data, 'storage'))} }]`,
    },
  );
  await serving(runner, 'runner', data);
  const pids = { devnet: chain.pid, serve: controlPlane.pid, runner: runner.pid };
  const told = warning === undefined ? {} : { warning };
  return { ready: true as const, url, tokenFile, ...told, chainUrl, storage: join(data, 'storage'), logs: join(data, 'logs'), pids };
}

/** A runner gets signed URLs and needs no key. */
const NO_S3_KEYS: Environment = { [envName('objects.s3.access_key')]: undefined, [envName('objects.s3.secret_key')]: undefined };

/** Secrets of another deployment would count more than those that `dev` makes for its children. */
function refuseForeign(config: Config): void {
  const foreign = (['chain.token', 'runner.join_token'] as const).find((key) => config[key] !== undefined);
  if (foreign === undefined) return;
  throw new SealpoolError(
    'bad_request',
    'configuration',
    `${foreign} is set, but \`sealpool dev\` brings a chain and a runner of its own and makes their tokens; leave ${foreign} out`,
  );
}

/** Waits for a child's first ready line; a child that never started is told with the end of its log. */
async function serving(child: SupervisedChild, name: string, data: string) {
  return child.ready.catch(async (error: Error) => {
    throw new SealpoolError(
      'unavailable',
      'child_failed',
      `${error.message}; it ends with: ${await lastLine(join(data, 'logs', `${name}.log`))}`,
    );
  });
}

async function lastLine(path: string): Promise<string> {
  const file = await open(path).catch(() => undefined);
  if (file === undefined) return '(nothing)';
  try {
    const { size } = await file.stat();
    const { buffer, bytesRead } = await file.read({ position: Math.max(0, size - 4_096), length: 4_096 });
    return buffer.subarray(0, bytesRead).toString().trim().split('\n').at(-1) ?? '(nothing)';
  } finally {
    await file.close();
  }
}

async function writeJoinToken(url: string, tokenFile: string, joinFile: string): Promise<void> {
  const token = secretOf(undefined, tokenFile);
  const { token: secret } = await createClient({ baseUrl: url, token }).createJoinToken({ trust: 'own', labels: ['local'] });
  await writeSecretFile(joinFile, secret);
}

async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    throw new SealpoolError(
      'bad_request',
      'data_folder',
      `the folder ${path} cannot be made (${error.code}); name another data folder with --data`,
    );
  });
}
