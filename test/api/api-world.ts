/** The real API over the real engine, store and object store in one process; time stands still unless moved. */
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { pino } from 'pino';
import { createApp } from '../../src/api/app.ts';
import { type Door, openDoor } from '../../src/api/door.ts';
import { createApiToken } from '../../src/api/tokens.ts';
import { newSecret } from '../../src/api/secrets.ts';
import type { Role } from '../../src/api/views.ts';
import { VERSION, docsFile } from '../../src/main/docs-files.ts';
import { randomIds, sleep } from '../../src/main/machine.ts';
import { metricsOf } from '../../src/main/metrics.ts';
import { runnerFiles } from '../../src/main/runner-files.ts';
import { type LocalObjects, openLocalObjects } from '../../src/objects/local.ts';
import { DEFAULTS, type Settings } from '../../src/scheduler/context.ts';
import type { ApiParts, Backup } from '../../src/api/parts.ts';
import type { Store } from '../../src/scheduler/ports.ts';
import { restarted } from '../../src/scheduler/tick.ts';
import { MinerId } from '../../src/schema/ids.ts';
import type { Grant, RegisterAnswer } from '../../src/schema/runner.ts';
import { openCollector } from '../../src/effects/collector.ts';
import { collect, collectingHeld, judge } from '../../src/scheduler/garbage.ts';
import { openBackups } from '../../src/store/backup.ts';
import { openNodeStore } from '../../src/store/node.ts';

export const OURS = MinerId.parse('t01000');
export const THEIRS = MinerId.parse('t01001');
export const BOOT = 'boot-of-a-test';
/** What is handed out as the agent. */
export const AGENT = 'an agent';
export const RESOURCES = { cores: 2, ramBytes: 2 ** 34, diskFreeBytes: 2 ** 40, gpus: [] };

const MINER = { sealProof: 'StackedDrg2KiBV1_1', firstSector: 1, lastSector: 1_000, allowCc: true } as const;

export class ApiWorld {
  nowMs = 1_800_000_000_000;
  readonly log: string[] = [];
  readonly ending = new AbortController();
  readonly folder: string;
  readonly store: Store;
  readonly objects: LocalObjects;
  readonly settings: Settings;
  readonly door: Door;
  readonly app: ReturnType<typeof createApp>;
  /** What `app` is put together from, for a test that puts it together otherwise. */
  readonly parts: ApiParts;
  readonly ids = randomIds;
  admin = '';

  private constructor(folder: string, store: Store, objects: LocalObjects, backup: () => Promise<Backup>) {
    this.folder = folder;
    writeFileSync(join(folder, 'agent.mjs'), AGENT);
    writeFileSync(join(folder, 'prover'), 'a prover');
    this.store = store;
    this.objects = objects;
    const settings: Settings = {
      ...DEFAULTS,
      declares: true,
      network: 'dev',
      miners: { [OURS]: MINER, [THEIRS]: MINER },
      threads: [
        { worker: 'ours', index: 0, plan: 'sealer', miner: OURS, auto: false },
        { worker: 'theirs', index: 0, plan: 'sealer', miner: THEIRS, auto: false },
        { worker: 'shared', index: 0, plan: 'sealer', miner: null, auto: false },
      ],
    };
    this.settings = settings;
    this.door = openDoor({ store, clock: { now: () => this.nowMs }, ids: randomIds, settings });
    const metrics = metricsOf(this.door, () => []);
    this.parts = {
      door: this.door,
      objects,
      settings,
      backup,
      collector: openCollector({
        door: this.door,
        objects,
        engine: { judge, collect, collectingHeld },
        rules: { graceMs: 0, uploadAgeMs: 3_600_000 },
      }),
      workerAddresses: { ours: '10.0.0.7', theirs: '10.0.0.8:17999' },
      version: VERSION,
      docsFile,
      runnerFiles: runnerFiles(
        { agent: join(folder, 'agent.mjs'), prover: join(folder, 'prover'), runner_image: undefined },
        VERSION,
        () => 'https://control.test',
      ),
      log: pino({ level: 'trace' }, { write: (line: string) => void this.log.push(line) }),
      requestId: () => randomIds.hex(8),
      sleep,
      ending: this.ending.signal,
      checks: async () => [],
      metrics: metrics.text,
      onAnswered: metrics.answered,
    };
    this.app = createApp(this.parts);
  }

  /** `objectsUrl`: where the object store's URLs lead, for a test that serves it. */
  static async open(objectsUrl: () => string = () => 'http://objects.test'): Promise<ApiWorld> {
    const folder = mkdtempSync(join(tmpdir(), 'sealpool-api-'));
    const store = openNodeStore({
      path: join(folder, 'sealpool.sqlite'),
      onFatal: (error) => {
        throw error;
      },
    });
    const objects = await openLocalObjects({ dataDir: folder, publicUrl: objectsUrl, now: () => Date.now() });
    const backups = await openBackups({ source: store, folder, minFreeBytes: 0 });
    const world = new ApiWorld(folder, store, objects, backups.make);
    await world.door.run(restarted);
    world.admin = await world.token('admin');
    return world;
  }

  /** A new API token's secret. */
  token(role: Role, miners: readonly MinerId[] | null = null): Promise<string> {
    return this.door.run((ctx) => createApiToken(ctx, { name: `${role} of a test`, role, miners }).token);
  }

  /** A registered runner's identity. */
  async runner(trust: 'own' | 'rented' = 'own', name = 'runner'): Promise<RegisterAnswer> {
    const token = await this.door.run((ctx) => {
      const { secret, hash } = newSecret(ctx.ids, 'join');
      ctx.tx.insertJoinToken({ hash, trust, labels: [], expiresMs: ctx.nowMs + 60_000, usedBy: null });
      return secret;
    });
    const storage = trust === 'own' ? ['main'] : [];
    const body = {
      token,
      name,
      bootId: BOOT,
      agentVersion: '0',
      stages: ['AddPiece', 'BuildTreeD', 'PC1', 'PC2', 'C1', 'C2', 'Verify'],
      storage,
      resources: RESOURCES,
    };
    const answer = await this.call('POST', '/v1/runners/register', { body });
    return answer.json as RegisterAnswer;
  }

  async call(
    method: string,
    path: string,
    given: {
      token?: string | undefined;
      body?: unknown;
      raw?: string | Uint8Array | ReadableStream<Uint8Array>;
      headers?: Record<string, string>;
    } = {},
  ) {
    const response = await this.app.request(path, {
      method,
      headers: {
        ...(given.token === undefined ? {} : { authorization: `Bearer ${given.token}` }),
        ...(given.body === undefined ? {} : { 'content-type': 'application/json' }),
        ...given.headers,
      },
      ...(given.body === undefined ? {} : { body: JSON.stringify(given.body) }),
      ...(given.raw === undefined ? {} : { body: given.raw, duplex: 'half' }),
    } as RequestInit);
    const text = await response.text();
    const json = text !== '' && (response.headers.get('content-type') ?? '').includes('json') ? JSON.parse(text) : undefined;
    return { status: response.status, type: response.headers.get('content-type'), headers: response.headers, json, text };
  }

  /** Keys of all objects of pieces that are stored. */
  objectKeys(): string[] {
    const folder = join(this.folder, 'objects');
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
  }

  /** Puts an output's only part where its grant says, as an agent does; the output as it is reported. Throws where the store refuses it. */
  async upload({ name, partUrls }: Grant['outputs'][number], bytes: Buffer) {
    const url = new URL(partUrls[0] as string);
    const checksum = Buffer.alloc(4);
    checksum.writeUInt32BE(crc32(bytes));
    const headers = { 'content-length': String(bytes.length), 'x-amz-checksum-crc32': checksum.toString('base64') };
    const put = await this.call('PUT', url.pathname + url.search, { raw: bytes, headers });
    if (put.status !== 200) throw new Error(`the store answers ${put.status} to a part of ${name}`);
    const hash = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    return { name, sizeBytes: String(bytes.length), hash, parts: [{ number: 1, etag: put.headers.get('etag') as string }] };
  }

  async pledge(miner: MinerId = OURS, count = 1): Promise<string[]> {
    const { json } = await this.call('POST', '/v1/sectors', { token: this.admin, body: { plan: 'sealer', miner, count } });
    return (json as { items: { id: string }[] }).items.map(({ id }) => id);
  }

  close(): void {
    this.ending.abort();
    this.store.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
