/**
 * A file through signed URLs, up and down with verification, beside rclone, curl and the disk in the same run: MB/s, CPU seconds
 * per GiB, memory. Prints a table in Markdown. `README.md` says what each row is.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { S3Objects } from '../../src/objects/s3.ts';
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
import { type Timed, timed } from './timed.ts';

const { values } = parseArgs({
  options: {
    mib: { type: 'string', default: '2048' },
    'part-mib': { type: 'string', default: '64' },
    servers: { type: 'string', default: 'versitygw,versitygw-tls,seaweedfs' },
    folder: { type: 'string', default: tmpdir() },
  },
});
const SIZE_BYTES = Number(values.mib) * 2 ** 20;
const PART_BYTES = Number(values['part-mib']) * 2 ** 20;
const HOUR_MS = 3_600_000;
const CHUNK_BYTES = 2 ** 22;

type Row = { readonly what: string; readonly took: Timed; readonly inside?: Took };
const rows: Row[] = [];
const folder = mkdtempSync(join(values.folder, 'bench-transfer-'));
const file = join(folder, 'file');
const target = join(folder, 'fetched');

function note(what: string, took: Timed, inside?: Took): void {
  rows.push({ what, took, ...(inside === undefined ? {} : { inside }) });
  process.stderr.write(`${what}: ${mbPerS(took.seconds)} MB/s, ${perGib(took.cpuSeconds)} CPU s/GiB, load ${loadavg()[0]?.toFixed(1)}\n`);
}

const mbPerS = (seconds: number): string => (SIZE_BYTES / 1e6 / seconds).toFixed(0);
const perGib = (cpuSeconds: number): string => ((cpuSeconds / SIZE_BYTES) * 2 ** 30).toFixed(2);

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
  const { uploadId, partSizeBytes, partUrls, checksum = 'crc32' } = await store.createUpload('ours', SIZE_BYTES, HOUR_MS, true);
  const slot: OutputSlot = {
    name: 'sealed',
    maxSizeBytes: String(SIZE_BYTES),
    partSizeBytes,
    partUrls: [...partUrls],
    checksum,
    required: true,
  };
  const up = await ours({ kind: 'up', slot, path: file, sizeBytes: SIZE_BYTES });
  note(`${name}: up, ours`, up.took, up.inside);
  const { uploaded } = up.inside;
  if (uploaded === undefined) throw new Error('the client did not say what it sent');
  await store.completeUpload('ours', uploadId, uploaded.parts, SIZE_BYTES);

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
  note(`${name}: up, rclone`, await timed([...rclone, ...upFlags, file, `s3:${BUCKET}/rclone`], { env }));

  const one = new S3Objects({ ...options, partSizeBytes: SIZE_BYTES });
  const single = await one.createUpload('curl', SIZE_BYTES, HOUR_MS);
  const curl = ['curl', '-sS', '--fail', ...(tls === undefined ? [] : ['--cacert', tls.cert])];
  note(`${name}: up, curl (one stream)`, await timed([...curl, '-T', file, single.partUrls[0] as string]));
  await one.abortUpload('curl', single.uploadId);

  const url = await store.getUrl('ours', HOUR_MS);
  const input: InputFile = { name: 'sealed', url, sizeBytes: String(SIZE_BYTES), hash, manifest: uploaded.manifest };
  const down = await ours({ kind: 'down', input, path: target });
  compare('ours');
  note(`${name}: down, ours`, down.took, down.inside);
  const downFlags = ['--multi-thread-streams', '4', '--multi-thread-cutoff', '64M'];
  // Its own upload, whose MD5 it keeps in the metadata: it verifies as well.
  const fetched = await timed([...rclone, ...downFlags, `s3:${BUCKET}/rclone`, target], { env });
  compare('rclone');
  note(`${name}: down, rclone`, fetched);
  const plain = await timed([...curl, '-o', target, url]);
  compare('curl');
  note(`${name}: down, curl (one stream, unverified)`, plain);
  for (const key of ['ours', 'rclone']) await store.delete(key);
  store.close();
  one.close();
}

async function disk(): Promise<void> {
  note('disk: cp', await timed(['cp', '--reflink=never', '--sparse=never', file, target]));
  rmSync(target);
  note('disk: dd with fdatasync', await timed(['dd', `if=${file}`, `of=${target}`, 'bs=1M', 'conv=fdatasync']));
  rmSync(target);
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

function print(loads: readonly string[]): void {
  const [cpu] = cpus();
  const lines = rows.map(({ what, took, inside }) => {
    const alone = inside === undefined ? '' : mbPerS(inside.seconds);
    const cpuAlone = inside === undefined ? '' : perGib(inside.cpuSeconds);
    const memory = inside === undefined ? '' : `${(inside.peakBytes / 2 ** 20).toFixed(0)} MiB`;
    return `| ${what} | ${mbPerS(took.seconds)} | ${alone} | ${perGib(took.cpuSeconds)} | ${cpuAlone} | ${memory} |`;
  });
  process.stdout.write(
    [
      `${values.mib} MiB in parts of ${values['part-mib']} MiB; ${cpus().length} × ${cpu?.model}, Node ${process.version}, load ${loads.join(' → ')}`,
      '',
      '| what | MB/s | without its start | CPU s/GiB | without its start | memory |',
      '|---|---|---|---|---|---|',
      ...lines,
      '',
    ].join('\n'),
  );
}

/** Certificates that Node trusts are read at its start. */
async function measure(tls: TlsFiles): Promise<void> {
  const before = loadavg()[0]?.toFixed(1) ?? '';
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
  print([before, loadavg()[0]?.toFixed(1) ?? '']);
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
