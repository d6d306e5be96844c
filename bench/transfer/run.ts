/**
 * A file through signed URLs, up and down with verification, beside rclone, curl and the disk in the same run, in turn: MB/s, CPU
 * seconds per GiB, memory. Prints a table in Markdown. `README.md` says what each row is.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { S3Objects } from '../../src/objects/s3.ts';
import type { Manifest } from '../../src/schema/manifest.ts';
import type { InputFile, OutputSlot } from '../../src/schema/runner.ts';
import {
  ACCESS_KEY,
  BUCKET,
  HAS_SEAWEEDFS,
  HAS_VERSITYGW,
  REGION,
  type S3Server,
  SECRET_KEY,
  type TlsFiles,
  startSeaweedfs,
  startVersitygw,
} from '../../test/objects/s3-servers.ts';
import type { Took } from './client.ts';
import { Rows } from './rows.ts';
import { type Timed, timed } from './timed.ts';

const { values } = parseArgs({
  options: {
    mib: { type: 'string', default: '2048' },
    'part-mib': { type: 'string', default: '64' },
    rounds: { type: 'string', default: '3' },
    servers: { type: 'string', default: 'versitygw,versitygw-tls,seaweedfs' },
    folder: { type: 'string', default: tmpdir() },
  },
});
const SIZE_BYTES = Number(values.mib) * 2 ** 20;
const PART_BYTES = Number(values['part-mib']) * 2 ** 20;
const HOUR_MS = 3_600_000;
const CHUNK_BYTES = 2 ** 22;

const rows = new Rows(SIZE_BYTES);
const folder = mkdtempSync(join(values.folder, 'bench-transfer-'));
const file = join(folder, 'file');
const target = join(folder, 'fetched');

/** Runs one row. What the one before it left to be written is written first, so that nobody pays for another. */
async function row(what: string, run: () => Promise<{ took: Timed; inside?: Took }>): Promise<Took | undefined> {
  execFileSync('sync', ['-f', folder]);
  const { took, inside } = await run();
  rows.add(what, took, inside);
  return inside;
}

/** Random bytes; answers their hash. */
function fill(): string {
  const hash = createHash('sha256');
  const out = openSync(file, 'w');
  for (let have = 0; have < SIZE_BYTES; have += CHUNK_BYTES) {
    const bytes = randomBytes(Math.min(CHUNK_BYTES, SIZE_BYTES - have));
    hash.update(bytes);
    writeSync(out, bytes);
  }
  closeSync(out);
  return `sha256:${hash.digest('hex')}`;
}

/** Outside of every time: what was fetched is what was sent. */
function compare(what: string): void {
  if (spawnSync('cmp', ['-s', file, target]).status !== 0) throw new Error(`${what} fetched other bytes than were sent`);
  rmSync(target);
}

async function ours(task: object): Promise<{ took: Timed; inside: Took }> {
  const client = join(import.meta.dirname, 'client.ts');
  const took = await timed([process.execPath, '--disable-warning=ExperimentalWarning', client], { stdin: JSON.stringify(task) });
  return { took, inside: JSON.parse(took.stdout) as Took };
}

async function against(name: string, server: S3Server, hash: string, tls: TlsFiles | undefined): Promise<void> {
  const options = {
    endpoint: server.endpoint,
    bucket: BUCKET,
    region: REGION,
    prefix: '',
    pathStyle: true,
    credentials: async () => ({ accessKeyId: ACCESS_KEY, secretAccessKey: SECRET_KEY }),
  };
  const store = new S3Objects({ ...options, partSizeBytes: PART_BYTES });
  const whole = new S3Objects({ ...options, partSizeBytes: SIZE_BYTES });
  const env = {
    RCLONE_CONFIG: '/dev/null',
    RCLONE_CONFIG_S3_TYPE: 's3',
    RCLONE_CONFIG_S3_PROVIDER: 'Other',
    RCLONE_CONFIG_S3_ENDPOINT: server.endpoint,
    RCLONE_CONFIG_S3_REGION: REGION,
    RCLONE_CONFIG_S3_ACCESS_KEY_ID: ACCESS_KEY,
    RCLONE_CONFIG_S3_SECRET_ACCESS_KEY: SECRET_KEY,
  };
  const rclone = ['rclone', ...(tls === undefined ? [] : ['--ca-cert', tls.cert]), '--s3-no-check-bucket', 'copyto'];
  const upFlags = ['--s3-upload-concurrency', '4', '--s3-chunk-size', `${values['part-mib']}M`];
  const downFlags = ['--multi-thread-streams', '4', '--multi-thread-cutoff', '64M'];
  const curl = ['curl', '-sS', '--fail', ...(tls === undefined ? [] : ['--cacert', tls.cert])];
  let manifest: Manifest | undefined;

  const upOurs = async (): Promise<void> => {
    await store.delete('ours');
    const { uploadId, partSizeBytes, partUrls, checksum = 'crc32' } = await store.createUpload('ours', SIZE_BYTES, HOUR_MS, true);
    const slot: OutputSlot = {
      name: 'sealed',
      maxSizeBytes: String(SIZE_BYTES),
      partSizeBytes,
      partUrls: [...partUrls],
      checksum,
      required: true,
    };
    const inside = await row(`${name}: up, ours`, () => ours({ kind: 'up', slot, path: file, sizeBytes: SIZE_BYTES }));
    if (inside?.uploaded === undefined) throw new Error('the client did not say what it sent');
    manifest = inside.uploaded.manifest;
    await store.completeUpload('ours', uploadId, inside.uploaded.parts, SIZE_BYTES);
  };
  const upRclone = async (): Promise<void> => {
    await store.delete('rclone');
    await row(`${name}: up, rclone`, async () => ({ took: await timed([...rclone, ...upFlags, file, `s3:${BUCKET}/rclone`], { env }) }));
  };
  const upCurl = async (): Promise<void> => {
    const { uploadId, partUrls } = await whole.createUpload('curl', SIZE_BYTES, HOUR_MS);
    await row(`${name}: up, curl (one stream)`, async () => ({ took: await timed([...curl, '-T', file, partUrls[0] as string]) }));
    await whole.abortUpload('curl', uploadId);
  };
  const downOurs = async (): Promise<void> => {
    const url = await store.getUrl('ours', HOUR_MS);
    const input: InputFile = { name: 'sealed', url, sizeBytes: String(SIZE_BYTES), hash, ...(manifest === undefined ? {} : { manifest }) };
    await row(`${name}: down, ours`, () => ours({ kind: 'down', input, path: target }));
    compare('ours');
  };
  // Its own upload, whose MD5 it keeps in the metadata and compares, unless told not to, with the file that it fetched.
  const downRclone = async (what: string, flags: readonly string[]): Promise<void> => {
    const command = [...rclone, ...downFlags, ...flags, `s3:${BUCKET}/rclone`, target];
    await row(`${name}: down, ${what}`, async () => ({ took: await timed(command, { env }) }));
    compare('rclone');
  };
  const downCurl = async (): Promise<void> => {
    const url = await store.getUrl('ours', HOUR_MS);
    await row(`${name}: down, curl (one stream), unverified`, async () => ({ took: await timed([...curl, '-o', target, url]) }));
    compare('curl');
  };
  await inTurn([upOurs, upRclone, upCurl]);
  const unverified = (): Promise<void> => downRclone('rclone, unverified', ['--ignore-checksum']);
  await inTurn([downOurs, () => downRclone('rclone', []), downCurl, unverified]);
  for (const key of ['ours', 'rclone']) await store.delete(key);
  store.close();
  whole.close();
}

/** Each once a round, and the next round begins with another. */
async function inTurn(steps: readonly (() => Promise<void>)[]): Promise<void> {
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const at of steps.keys()) await steps[(at + round) % steps.length]?.();
  }
}

async function disk(): Promise<void> {
  for (let round = 0; round < Number(values.rounds); round++) {
    await row('disk: cp', async () => ({ took: await timed(['cp', '--reflink=never', '--sparse=never', file, target]) }));
    rmSync(target);
    const dd = ['dd', `if=${file}`, `of=${target}`, 'bs=1M', 'conv=fdatasync'];
    await row('disk: dd with fdatasync', async () => ({ took: await timed(dd) }));
    rmSync(target);
  }
}

function certificate(): TlsFiles {
  const tls = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') };
  const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
  execFileSync('openssl', ['req', '-x509', ...kind, '-nodes', '-days', '2', ...subject, '-keyout', tls.key, '-out', tls.cert], {
    stdio: 'ignore',
  });
  return tls;
}

/** Certificates that Node trusts are read at its start. */
async function measure(tls: TlsFiles): Promise<void> {
  const hash = fill();
  await disk();
  const starters: Record<string, [has: boolean, start: () => Promise<S3Server>, tls?: TlsFiles]> = {
    versitygw: [HAS_VERSITYGW, () => startVersitygw()],
    'versitygw-tls': [HAS_VERSITYGW, () => startVersitygw(tls), tls],
    seaweedfs: [HAS_SEAWEEDFS, () => startSeaweedfs()],
  };
  for (const name of values.servers.split(',')) {
    const [has, start, secure] = starters[name] ?? [false, () => Promise.reject(new Error(name))];
    if (!has) throw new Error(`there is no server ${name} here; scripts/go-programs.sh and scripts/python.sh get those there are`);
    const server = await start();
    try {
      await against(name, server, hash, secure);
    } finally {
      await server.close();
    }
  }
  process.stdout.write(rows.table(`${values.mib} MiB in parts of ${values['part-mib']} MiB, ${values.rounds} rounds`));
}

try {
  const { BENCH_TLS: given } = process.env;
  if (given !== undefined) await measure(JSON.parse(given) as TlsFiles);
  else {
    const tls = certificate();
    const environment = { ...process.env, NODE_EXTRA_CA_CERTS: tls.cert, BENCH_TLS: JSON.stringify(tls) };
    const again = spawnSync(process.execPath, process.argv.slice(1), { stdio: 'inherit', env: environment });
    process.exitCode = again.status ?? 1;
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
