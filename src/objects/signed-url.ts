/** URLs of the embedded object store: one object or part, one verb, until an expiry. HMAC-SHA256. */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { open, readFile, rm } from 'node:fs/promises';
import { linkNew } from './durable.ts';
import { dirname } from 'node:path';
import { errnoOf } from './errors.ts';
import { SealpoolError } from '../schema/problem.ts';

export type SignedVerb = 'GET' | 'PUT';

/** Signs and checks paths with one key. Times are Unix milliseconds. */
export class UrlSigner {
  readonly #key: Buffer;
  readonly #now: () => number;

  constructor(key: Buffer, now: () => number) {
    this.#key = key;
    this.#now = now;
  }

  /** `path` with its expiry and signature as query. */
  sign(verb: SignedVerb, path: string, ttlMs: number): string {
    const expiresMs = this.#now() + ttlMs;
    return `${path}?expires=${expiresMs}&signature=${this.#mac(verb, path, String(expiresMs)).toString('base64url')}`;
  }

  /** Throws `url_refused` (403) unless this very verb and path were signed and the URL has not run out. */
  check(verb: SignedVerb, path: string, expires: string | undefined, signature: string | undefined): void {
    const given = Buffer.from(signature ?? '', 'base64url');
    const right = this.#mac(verb, path, expires ?? '');
    if (given.length !== right.length || !timingSafeEqual(given, right)) {
      throw new SealpoolError(
        'forbidden',
        'url_refused',
        'this URL was not signed by this object store for this method; use the URL of the grant as it is',
      );
    }
    if (this.#now() > Number(expires)) {
      throw new SealpoolError('forbidden', 'url_expired', 'this URL has expired; ask for a new grant');
    }
  }

  #mac(verb: SignedVerb, path: string, expires: string): Buffer {
    return createHmac('sha256', this.#key).update(`${verb}\n${path}\n${expires}`).digest();
  }
}

/** The signing key in `file` (mode 0600), made on the first call; two starters at once get the same. */
export async function signingKey(file: string): Promise<Buffer> {
  const kept = await read(file);
  if (kept !== undefined) return kept;
  const draft = `${file}.${randomBytes(6).toString('hex')}`;
  const handle = await open(draft, 'wx', 0o600);
  try {
    await handle.writeFile(`${randomBytes(32).toString('hex')}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await linkNew(dirname(file), draft, file);
  await rm(draft);
  return (await read(file)) as Buffer;
}

async function read(file: string): Promise<Buffer | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  if (!/^[0-9a-f]{64}\n?$/.test(text)) {
    throw new SealpoolError(
      'internal',
      'bad_signing_key',
      `${file} is not a signing key; delete it and start again, URLs given out before then stop working`,
    );
  }
  return Buffer.from(text.trim(), 'hex');
}
