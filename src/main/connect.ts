/** Which control plane a command asks, and with which token. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Values } from '../cli/command.ts';
import type { Connect } from '../cli/run.ts';
import { loadConfig, secretOf } from './config.ts';
import { oldWorkerConfig } from './old-worker-config.ts';

/**
 * Flags, then environment and file, then what the control plane of the data folder left there. Its token is an admin's:
 * nobody else gets it.
 */
export function connect(flags: Values): ReturnType<Connect> {
  const old = typeof flags['config'] === 'string' ? oldWorkerConfig(flags['config']) : undefined;
  const config = loadConfig({
    flags: {
      data: flags['data'],
      config: old === undefined ? flags['config'] : undefined,
      url: flags['url'],
      token_file: flags['token-file'],
    },
  });
  const own = kept(join(config.data, 'control-plane.url')) ?? `http://127.0.0.1:${config.port}`;
  const url = config.url ?? own;
  const worker = old?.worker;
  const named = secretOf(config.token, config.token_file);
  const tokenFile = join(config.data, 'admin.token');
  const admin = named === undefined ? kept(tokenFile) : undefined;
  if (admin === undefined || isOwn(url, own)) return { url, token: named ?? admin, worker };
  const withheld = `the token in ${tokenFile} was not sent, since it is for ${own}; name one for ${url} with --token-file or SEALPOOL_TOKEN_FILE`;
  return { url, token: undefined, worker, withheld };
}

function kept(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}

/** The same URL, or the same port of this machine. */
function isOwn(url: string, own: string): boolean {
  if (!URL.canParse(url) || !URL.canParse(own)) return url === own;
  const [asked, known] = [new URL(url), new URL(own)];
  const place = ({ origin, pathname }: URL): string => origin + pathname.replace(/\/+$/, '');
  return place(asked) === place(known) || (isLoopback(asked) && asked.protocol === 'http:' && isHere(known) && asked.port === known.port);
}

const isLoopback = ({ hostname }: URL): boolean => /^(127\.[0-9.]+|localhost|\[::1\])$/.test(hostname);
/** Listens on this machine, be it on all of its addresses. */
const isHere = (url: URL): boolean => isLoopback(url) || /^(0\.0\.0\.0|\[::\])$/.test(url.hostname);
