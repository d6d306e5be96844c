/** Puts the control plane together on Node: store, objects, chain, engine, effects, timers, HTTP. */
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { getConnInfo } from '@hono/node-server/conninfo';
import { createApp } from '../api/app.ts';
import { openDoor } from '../api/door.ts';
import { LotusChain } from '../chain/lotus-chain.ts';
import { openCollector } from '../effects/collector.ts';
import { performEffects } from '../effects/performer.ts';
import { objectRoutes } from '../objects/routes.ts';
import type { Money } from '../metrics/standing.ts';
import { SealpoolError } from '../schema/problem.ts';
import { collect, collectingHeld, judge } from '../scheduler/garbage.ts';
import { effectDone, effectSigned } from '../scheduler/outbox.ts';
import { ALIVE, restarted } from '../scheduler/tick.ts';
import { openBackups } from '../store/backup.ts';
import { openNodeStore } from '../store/node.ts';
import { Accepting } from './accepting.ts';
import { firstAdminToken } from './admin-token.ts';
import { advertised } from './advertised.ts';
import { followHead } from './chain-head.ts';
import { readiness } from './checks.ts';
import { type Config, secretOf } from './config.ts';
import { openDeclare } from './declare.ts';
import { VERSION, docsFile } from './docs-files.ts';
import { tellEvents, tellOutcome } from './happenings.ts';
import { listen } from './http-server.ts';
import { openLog } from './log.ts';
import { randomIds, sleep } from './machine.ts';
import { followBalances, metricsOf } from './metrics.ts';
import { openObjects } from './objects.ts';
import { remoteAddress } from './remote-address.ts';
import { ratesOf, settingsOf } from './settings.ts';
import { runnerFiles } from './runner-files.ts';
import { steadyClock } from './steady-clock.ts';
import { callBack } from './webhooks.ts';
import { runCollections, runForgetting, runSweeps, runTicks } from './timers.ts';

/** Answers under way may take this long when the process is asked to end. */
const CLOSE_MS = 5_000;

export type ControlPlane = {
  readonly url: string;
  /** Where it listens, which public_url may stand before. */
  readonly listening: string;
  /** What others cannot use of that, and what to do. */
  readonly warning: string | undefined;
  /** The first admin token, mode 0600. */
  readonly tokenFile: string;
  /** Ends: no new requests, long polls answered, effects under way finished, database closed. */
  close(): Promise<void>;
  /** Resolves with the reason when the control plane cannot go on (its database failed). */
  readonly failed: Promise<Error>;
};

/** Starts the control plane. Throws what stands against it: port in use, database in use or newer, bad configuration. */
export async function startControlPlane(config: Config): Promise<ControlPlane> {
  const log = openLog(config.log_level);
  const dataDir = resolve(config.data);
  await makeFolder(dataDir);
  const chain = openChain(config);
  const { declare, close: closeDeclare } = openDeclare(config);
  let fail: (error: Error) => void = () => undefined;
  const failed = new Promise<Error>((settle) => {
    fail = settle;
  });
  const accepting = new Accepting();
  const store = openNodeStore({ path: join(dataDir, 'sealpool.sqlite'), onFatal: fail, holdOff: accepting.more });
  const ending = new AbortController();
  try {
    const settings = settingsOf(config);
    const clock = steadyClock(await store.commit((tx) => Number(tx.meta(ALIVE) ?? 0)));
    const door = openDoor({ store, clock, ids: randomIds, settings });
    let publicUrl = config.public_url ?? '';
    const { objects, local, close: closeObjects } = await openObjects(config, { dataDir, publicUrl: () => publicUrl, now: clock.now, log });
    const backups = await openBackups({ source: store, folder: dataDir, minFreeBytes: config['objects.min_free_bytes'] });
    // What this start itself brings about is told too.
    const before = await door.run((ctx) => ctx.tx.lastEventSeq());
    await door.run(restarted);
    const tokenFile = await firstAdminToken(door, randomIds, dataDir);
    let money: readonly Money[] = [];
    const metrics = metricsOf(door, () => money);
    const addressOf = remoteAddress(config.trusted_proxies);
    const collector = openCollector({
      door,
      objects,
      engine: { judge, collect, collectingHeld },
      rules: { graceMs: config['gc.grace_ms'], uploadAgeMs: config['gc.upload_age_ms'] },
    });
    const app = createApp({
      door,
      objects,
      settings,
      backup: backups.make,
      collector,
      workerAddresses: Object.fromEntries(config.workers.flatMap(({ name, address }) => (address === undefined ? [] : [[name, address]]))),
      rateLimits: {
        rates: ratesOf(config),
        now: clock.now,
        address: (c) => addressOf(getConnInfo(c).remote.address, c.req.header('x-forwarded-for')),
      },
      version: VERSION,
      runnerFiles: runnerFiles(config, VERSION, () => publicUrl),
      docsFile,
      log,
      requestId: () => randomIds.hex(8),
      sleep,
      ending: ending.signal,
      checks: readiness({ door, objects, chain, hex: randomIds.hex, log }),
      metrics: metrics.text,
      onAnswered: metrics.answered,
    });
    const onBroken = (error: unknown): void => log.error({ err: error }, 'the object store failed a request');
    if (local !== undefined) app.route('/', objectRoutes(local, onBroken));
    const server = await listen(app.fetch, config.listen, config.port, { onConnection: () => accepting.taken() });
    const { listening, url, warning } = advertised(config, server.port);
    publicUrl = url.replace(/\/+$/, '');
    const onError = (error: unknown): void => log.error({ err: error }, 'an effect could not be recorded');
    const onOutcome = tellOutcome(log, metrics);
    const effects = performEffects({
      door,
      chain,
      objects,
      declare,
      engine: { effectSigned, effectDone },
      onOutcome,
      onError,
      ending: ending.signal,
    });
    const told = tellEvents(door, before, log, metrics, ending.signal);
    const webhooks = callBack(door, clock, log, metrics, ending.signal);
    const loops = [
      runTicks(door, log, ending.signal, { elapsedMs: () => performance.now(), crowdedMs: accepting.crowdedMs }),
      ...(local === undefined ? [] : [runSweeps(local, log, ending.signal)]),
      runForgetting(door, log, ending.signal),
      runCollections(collector, config['gc.every_ms'], log, ending.signal),
      effects,
      told,
      webhooks,
    ];
    // Not waited for at the end: it changes nothing any more, and a node may be slow to answer.
    void followHead(door, chain, log, ending.signal);
    const pay = (told: readonly Money[]): void => void (money = told);
    void followBalances(chain, Object.keys(settings.miners), pay, log, ending.signal);
    log.info({ url, dataDir }, 'the control plane serves');
    if (warning !== undefined) log.warn({}, warning);
    return {
      url,
      listening,
      warning,
      tokenFile,
      failed,
      async close() {
        ending.abort();
        await server.close(CLOSE_MS);
        await Promise.allSettled(loops);
        await chain.close();
        await closeDeclare();
        closeObjects();
        store.close();
        log.info('the control plane ended');
      },
    };
  } catch (error) {
    ending.abort();
    await chain.close();
    store.close();
    throw error;
  }
}

async function makeFolder(dataDir: string): Promise<void> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
    throw new SealpoolError(
      'bad_request',
      'data_folder',
      `the data folder ${dataDir} cannot be made (${error.code}); name another one with --data`,
    );
  });
}

function openChain(config: Config): LotusChain {
  const url = config['chain.url'];
  if (url === undefined) {
    throw new SealpoolError(
      'bad_request',
      'configuration',
      'no chain node is configured; set chain.url (and chain.token_file) to a Lotus or Venus node, or use `sealpool dev`, which brings a dev chain',
    );
  }
  const sender = config['chain.sender'];
  const given = config['chain.token'];
  const file = config['chain.token_file'];
  return new LotusChain({
    url,
    // Read before each call, so that a renewed file is seen.
    token: given === undefined && file === undefined ? null : async () => secretOf(given, file) ?? '',
    timeoutMs: config['chain.timeout_ms'],
    ...(sender === undefined ? {} : { sender }),
  });
}
