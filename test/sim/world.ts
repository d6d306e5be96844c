/** One world: a control plane that lives and dies, a fleet, a chain and object storage, playing one script. */
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { planTables } from '../../src/scheduler/plans/all.ts';
import type { Ids } from '../../src/scheduler/ports.ts';
import { createWebhook } from '../../src/scheduler/webhooks.ts';
import type { AttemptId } from '../../src/schema/ids.ts';
import type { SectorRecord } from '../../src/schema/sector-record.ts';
import { restoreDatabase } from '../../src/main/restore.ts';
import { Coverage } from './coverage.ts';
import { BEGIN_MS, VirtualClock } from './clock.ts';
import { ControlPlane } from './control-plane.ts';
import { EPOCH_MS, FakeChain } from './fake-chain.ts';
import { collectedIsDead } from './collecting.ts';
import { FakeObjects } from './fake-objects.ts';
import { FakeReceiver } from './fake-receiver.ts';
import { Faults } from './faults.ts';
import { knownSector, putFiles } from './existing.ts';
import { sectorKey } from './ledger.ts';
import { FakePoster } from './fake-poster.ts';
import { Fleet } from './fleet.ts';
import { MinerDisks } from './miner-disks.ts';
import { FleetOracle } from './oracle-fleet.ts';
import { ChainOracle } from './oracle-chain.ts';
import { keepsReplica } from './oracle-bound.ts';
import { criticalHasCause } from './oracle-needless.ts';
import { ticketHolds } from './oracle-ticket.ts';
import { artifactsWhole, ended, openEffects, unsettled } from './oracle-end.ts';
import { HistoryOracle, type Told } from './oracle-history.ts';
import { oneJobEach } from './oracle-sectors.ts';
import { StoredOracle, spoiltKey } from './oracle-stored.ts';
import { allPosted } from './oracle-webhooks.ts';
import { Rng } from './prng.ts';
import { KeptStore } from './kept-store.ts';
import { Reader } from './reader.ts';
import type { Action, ErrandFault, Fault, Script, SettingsChange, StageFault } from './script.ts';
import { MINER, settingsOf } from './settings.ts';
import { WAITING, faultOf, isLie } from './struck.ts';

export const ACTOR = 'operator:simulated';

/** A promise that did not hold: the story ends there. */
export class BrokenPromise extends Error {
  readonly promise: string;
  constructor(promise: string, what: string) {
    super(`${promise}: ${what}`);
    this.promise = promise;
  }
}

export class World {
  readonly clock = new VirtualClock();
  readonly faults = new Faults();
  readonly chain: FakeChain;
  readonly objects = new FakeObjects();
  readonly receiver: FakeReceiver | undefined;
  /** Number of the last event before the webhook was made. */
  #postedSince = 0;
  readonly disks: MinerDisks;
  readonly poster: FakePoster;
  readonly storedOracle: StoredOracle;
  /** Faults of steps that runners do beside their stages, for the next ones. */
  readonly errandFaults: ErrandFault[] = [];
  /** How many databases were lost so far. */
  lostDatabases = 0;
  /** Objects and stored files that a fault damaged. */
  readonly spoilt = new Set<string>();
  /** Objects that came after a backup that was restored. */
  readonly orphans = new Set<string>();
  readonly coverage = new Coverage();
  /** Faults that struck so far. */
  readonly struck = new Set<Fault>();
  history: HistoryOracle;
  readonly chainOracle: ChainOracle;
  fleetOracle: FleetOracle;
  readonly fleet: Fleet;
  /** Version of the files that runners are to run, once others than theirs are handed out. */
  offered: string | undefined;
  readonly rng: Rng;
  readonly script: Script;
  reader!: Reader;
  plane: ControlPlane | undefined;
  /** Faults are over. */
  healed = false;
  /** Keys that pledges were asked with, by the jobs that were answered. */
  readonly pledged = new Map<string, string>();
  /** Those of them that were lost with the disk; a later backup may bring them back. */
  readonly lostPledges = new Set<string>();
  pledges = 0;
  /** Faults of stages that wait for the next one to end. */
  readonly stageFaults: { job: number | undefined; how: StageFault }[] = [];
  /** Lines for a person, kept when asked for. */
  timeline: string[] | undefined;
  /** Told when a job first reaches a state. */
  onState: (job: Told) => void = () => undefined;
  readonly #path: string;
  readonly #store: KeptStore;
  readonly #uninstall: () => void;
  #change: SettingsChange = {};
  #broken: BrokenPromise | undefined;
  readonly #known: readonly SectorRecord[];
  #jobsAsleep: boolean | undefined;
  #ids = 0;
  #lives = 0;
  #restoring = false;

  constructor(script: Script, path: string) {
    this.script = script;
    this.#path = path;
    this.#store = new KeptStore(path);
    this.receiver = script.webhook === true ? new FakeReceiver() : undefined;
    const known = (script.sectors ?? []).map((existing) => ({ existing, known: knownSector(MINER, script.sealProof, existing) }));
    this.#known = known.map(({ known: { record } }) => record);
    this.disks = new MinerDisks(script.storage?.disks, {
      wrote: (disk, path) => this.spoilt.delete(spoiltKey(disk, path)),
      removes: (disk, path, since) => this.storedOracle.removing(disk, path, this.reader, since !== this.lostDatabases),
    });
    for (const one of known) putFiles(this.disks.first, one.known, one.existing.lost);
    this.poster = new FakePoster(this.disks);
    this.poster.begin();
    this.chain = new FakeChain(
      () => this.clock.nowMs,
      new Map(known.map(({ existing, known: { active } }) => [sectorKey(MINER, existing.number), active])),
    );
    this.rng = Rng.named(script.seed, 'latency');
    this.#uninstall = this.clock.install();
    const broken = (promise: string, what: string): void => this.breach(promise, what);
    const { disks, poster, spoilt } = this;
    this.storedOracle = new StoredOracle({ disks, poster, declares: script.storage?.declares === true, spoilt, broken });
    this.history = new HistoryOracle(planTables(), broken);
    this.fleetOracle = this.#newFleetOracle(false);
    this.chainOracle = new ChainOracle(this.chain, (cid) => this.reader.jobOfMessage(cid), broken);
    this.faults.onStrike = (fault, what) => this.strike(fault, what);
    this.chain.onBadLuck = (kind, number) => {
      const job = this.reader.jobs().findLast((row) => row.number === number);
      this.strike(kind, `message of sector ${number}: ${kind}`, job?.id);
    };
    this.fleet = new Fleet(this);
  }

  /** The first broken promise is the one that counts. */
  breach(promise: string, what: string): void {
    this.#broken ??= new BrokenPromise(promise, what);
  }

  async begin(): Promise<void> {
    this.open();
    this.reader = new Reader(this.#path);
    const mine = (): void => {
      this.chain.mine();
      this.clock.at(EPOCH_MS, mine);
    };
    this.clock.at(EPOCH_MS, mine);
    await this.clock.rest();
    // Taken over before anything goes wrong.
    await this.plane?.run((ctx) => {
      for (const record of this.#known) ctx.tx.putSectorRecord(record);
      if (this.receiver === undefined) return;
      this.#postedSince = ctx.tx.lastEventSeq();
      createWebhook(ctx, { url: 'https://receiver.example/', description: '', types: null, miners: null, allowPrivate: false }, ACTOR);
    });
    for (const row of this.reader.records()) this.storedOracle.excuse(row);
    for (const { trust, slots } of this.script.runners) this.fleet.join(trust, slots);
  }

  /** Starts the control plane, with what was changed in its configuration. */
  open(change: SettingsChange = {}): void {
    this.#change = { ...this.#change, ...change };
    this.#lives += 1;
    const { clock, faults, chain, objects } = this;
    objects.now = () => clock.nowMs;
    const rng = Rng.named(this.script.seed, `life ${this.#lives}`);
    this.plane = new ControlPlane({
      clock,
      rng,
      faults,
      chain,
      objects,
      ids: this.ids,
      store: this.#store,
      receiver: this.receiver,
      poster: this.script.storage?.declares === true ? this.poster : undefined,
      settings: () => settingsOf(this.script, this.#change),
      offered: () => this.offered,
      onDeath: () => this.#revive(),
    });
  }

  /** A supervisor starts the process again after it died. */
  #revive(): void {
    this.plane = undefined;
    this.note('the control plane died');
    this.clock.at(this.rng.between(200, 20_000), () => {
      if (this.#restoring) return;
      if (this.plane === undefined) this.open();
      this.note('the control plane is back');
    });
  }

  /** Restarts by hand: ended in order, or killed. */
  async restart(awayMs: number, kill: boolean, change: SettingsChange = {}): Promise<void> {
    const { plane } = this;
    if (plane === undefined) return;
    this.strike(kill ? 'crash' : 'restart', kill ? 'killed' : 'restarted');
    this.plane = undefined;
    await plane.stop(kill);
    this.#store.close();
    await this.clock.sleep(awayMs);
    if (this.plane === undefined && !this.#restoring) this.open(change);
  }

  /** The disk of the control plane is lost with all that was written since a backup, which is restored; perhaps once more later. */
  async loseDisk({ ageMs, awayMs, againMs }: Extract<Action, { do: 'restore' }>): Promise<void> {
    const [copy, known] = [this.reader.copy(), new Set(this.objects.objects.keys())];
    this.note('a backup is made');
    for (const lifeMs of [ageMs, ...(againMs === undefined ? [] : [againMs])]) {
      await this.clock.sleep(lifeMs);
      const { plane } = this;
      if (plane === undefined || this.healed) return;
      this.plane = undefined;
      // Nobody starts one on a database that is being replaced: its lock refuses.
      this.#restoring = true;
      await plane.stop(true);
      this.#store.close();
      writeFileSync(`${this.#path}.backup`, copy);
      this.clock.busy += 1;
      await restoreDatabase(`${this.#path}.backup`, dirname(this.#path), this.clock.nowMs).finally(() => (this.clock.busy -= 1));
      this.#forget(known);
      this.#restoring = false;
      await this.clock.sleep(awayMs);
      if (this.plane === undefined) this.open();
    }
  }

  /** From now on the backup is what happened. */
  #forget(known: ReadonlySet<string>): void {
    this.reader.close();
    this.reader = new Reader(this.#path);
    this.history = new HistoryOracle(planTables(), (promise, what) => this.breach(promise, what));
    this.lostDatabases += 1;
    this.storedOracle.restored(this.reader);
    this.fleetOracle = this.#newFleetOracle(true);
    for (const event of this.history.look(this.reader)) this.fleetOracle.event(event);
    this.#jobsAsleep = undefined;
    const rows = this.reader.jobs();
    const there = new Set(rows.map(({ id }) => id));
    for (const id of this.pledged.keys()) this.lostPledges[there.has(id) ? 'delete' : 'add'](id);
    this.chainOracle.restored((job) => rows.some(({ id, state }) => state === 'Aborted' && id === job));
    for (const key of this.objects.objects.keys()) if (!known.has(key)) this.orphans.add(key);
    // What went meanwhile is missed, and made again where it is needed.
    for (const key of known) if (!this.objects.objects.has(key)) this.spoilt.add(key);
    this.strike('restore', 'the disk is lost, and the backup restored');
  }

  #newFleetOracle(restored: boolean): FleetOracle {
    return new FleetOracle({
      settings: this.script.fleet ?? {},
      nowMs: () => this.clock.nowMs,
      restored,
      broken: (promise, what) => this.breach(promise, what),
      note: (line) => this.note(line),
      trouble: (what) => this.strike('credential', what),
      ...(restored ? { before: this.fleetOracle } : {}),
    });
  }

  readonly ids: Ids = {
    next: (prefix) => `${prefix}-${String((this.#ids += 1)).padStart(8, '0')}`,
    hex: (bytes) => Rng.named(this.script.seed, `hex ${(this.#ids += 1)}`).hex(bytes),
  };

  /** Looks at everything when something was committed; throws the first broken promise. */
  observe(): void {
    if (!this.reader.changed()) {
      this.check();
      return;
    }
    this.plane?.tickSoon();
    this.#jobsAsleep = undefined;
    const told = new Map([...this.history.jobs].map(([id, { state }]) => [id, state]));
    for (const row of this.history.look(this.reader)) {
      this.fleetOracle.event(row);
      criticalHasCause(row, this.struck, (promise, what) => this.breach(promise, what));
      if (this.plane?.knowsEpoch === true) ticketHolds(row, this.reader, this.chain, (promise, what) => this.breach(promise, what));
      const job = row.job === null ? undefined : this.history.jobs.get(row.job);
      if (this.timeline !== undefined && row.job === null) this.note(`${row.runner ?? ''} ${row.kind} ${row.detail}`);
      if (job === undefined) continue;
      if (this.timeline !== undefined)
        this.note(
          `#${job.index} ${row.kind} ${row.from_state ?? ''}${row.event === null ? '' : ` –${row.event}`}${row.to_state === null ? '' : `→ ${row.to_state}`} ${row.detail === '{}' ? '' : row.detail}`,
        );
      const before = row.from_state ?? told.get(job.id) ?? 'Empty';
      this.coverage.event(row, job, before);
      if (row.to_state !== null) told.set(job.id, row.to_state);
      if (row.to_state !== null && row.kind !== 'paused' && row.kind !== 'resumed') this.onState(job);
    }
    collectedIsDead(this.reader, (promise, what) => this.breach(promise, what));
    this.fleetOracle.look(this.reader, this.plane?.ready === true);
    artifactsWhole(this.reader, this.objects, this.spoilt, (promise, what) => this.breach(promise, what));
    this.storedOracle.look(this.reader);
    keepsReplica(this.reader, this.chain, (promise, what) => this.breach(promise, what));
    oneJobEach(this.reader, this.chain, (promise, what) => this.breach(promise, what));
    if (this.#broken !== undefined) throw this.#broken;
  }

  /** No job moves by itself any more, and the control plane is up. */
  resting(): boolean {
    this.#jobsAsleep ??= unsettled(this.reader).length === 0;
    return this.#jobsAsleep && this.plane?.ready === true;
  }

  /** Whether the receiver has what it is owed. */
  get posted(): boolean {
    return this.receiver === undefined || this.reader.openDeliveries() === 0;
  }

  /** After the end: everything that happened was told. */
  checkPosted(): void {
    if (this.receiver !== undefined)
      allPosted(this.receiver, this.reader, this.#postedSince, (promise, what) => this.breach(promise, what));
  }

  /** Nobody holds a grant, and nothing of an attempt is left to be tidied up. */
  handsEmpty(): boolean {
    const { reader } = this;
    return (
      !this.fleet.working() &&
      reader.running().length === 0 &&
      reader.uploads().length === 0 &&
      openEffects(reader, this.disks).length === 0
    );
  }

  check(): void {
    if (this.#broken !== undefined) throw this.#broken;
  }

  /** A fault struck: this job, or those that wait for what it hit. */
  strike(fault: Fault, what: string, job?: string): void {
    this.note(`! ${what}${job === undefined ? '' : ` (${job})`}`);
    this.struck.add(fault);
    const hit = WAITING[fault];
    const live = this.reader.jobs().filter(({ state, waiting_for }) => !ended(state) && (hit === undefined || hit.includes(waiting_for)));
    this.coverage.strike(fault, job === undefined ? live.map(({ id }) => id) : [job]);
  }

  /** The fault that this attempt is to suffer, if a script says so. */
  stageFault(attempt: AttemptId, trust: 'own' | 'rented'): StageFault | undefined {
    const job = [...this.history.jobs.values()].find(({ running }) => running.has(attempt));
    const at = this.stageFaults.findIndex(
      (fault) => (fault.job === undefined || fault.job === job?.index) && (trust === 'rented' || !isLie(fault.how)),
    );
    const [found] = at < 0 ? [] : this.stageFaults.splice(at, 1);
    if (found === undefined) return undefined;
    this.strike(faultOf(found.how), `stage ${found.how}`, job?.id);
    return found.how;
  }

  /** The fault that the next step beside a runner's stages is to suffer. */
  errandFault(name: string): ErrandFault | undefined {
    const fault = this.errandFaults.shift();
    if (fault !== undefined) this.strike('storage', `${name}: a step beside its stages: ${fault}`);
    return fault;
  }

  note(line: string): void {
    this.timeline?.push(`${((this.clock.nowMs - BEGIN_MS) / 1000).toFixed(3).padStart(9)} s  ${line}`);
  }

  close(): void {
    this.clock.clear();
    this.#uninstall();
    this.plane?.kill();
    this.reader.close();
    const [folder, name] = [dirname(this.#path), basename(this.#path)];
    const kept = this.#store.end() ? [name, `${name}-wal`, `${name}-shm`, `${name}.lock`] : [];
    // With what a restore left beside it.
    const ours = readdirSync(folder).filter((file) => file.startsWith(name) && !kept.includes(file));
    for (const name of [...ours, 'admin.token']) rmSync(join(folder, name), { force: true });
  }
}
