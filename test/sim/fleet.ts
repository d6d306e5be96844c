/** The fleet: runners that join, leave, freeze, start anew and are sent away. */
import { registerRunner, setRunnerStatus } from '../../src/scheduler/fleet.ts';
import type { Context } from '../../src/scheduler/context.ts';
import type { AttemptId, RunnerId } from '../../src/schema/ids.ts';
import { SealpoolError } from '../../src/schema/problem.ts';
import { P_AUX, TREE_D, T_AUX, VANILLA_PROOFS } from '../../src/schema/artifact.ts';
import type { HeartbeatRequest, RegisterRequest } from '../../src/schema/runner.ts';
import type { RunnerRow } from '../../src/scheduler/ports.ts';
import { Stage } from '../../src/schema/stage.ts';
import type { ControlPlane } from './control-plane.ts';
import { hashSecret } from '../../src/api/secrets.ts';
import { FakeRunner } from './fake-runner.ts';
import { type MachineWords, machineOf } from './machines.ts';
import type { RunnerDisk, RunnerParts } from './runner-parts.ts';
import { Rng } from './prng.ts';
import { sha } from './replica.ts';
import type { TestFault } from './script.ts';
import { TESTED } from './self-test-work.ts';
import type { World } from './world.ts';

export type Member = {
  readonly name: string;
  readonly trust: 'own' | 'rented';
  readonly slots: number;
  readonly machine: MachineWords;
  id: RunnerId | undefined;
  process: FakeRunner | undefined;
  boots: number;
  readonly disk: RunnerDisk;
  /** Version of the files on it. */
  version: string;
  testing: TestFault;
  /** Processes on machines of others that have its credential. */
  readonly thieves: FakeRunner[];
};

const REGISTER_AGAIN_MS = 2_000;
/** A supervisor starts an agent that has ended after this. */
const START_AGAIN_MS = 3_000;
const LOOK_AGAIN_MS = 7_000;

export class Fleet {
  readonly members: Member[] = [];
  readonly #world: World;
  readonly #sums: Rng;
  /** So many are to come. */
  #wrongSums: number;

  constructor(world: World) {
    this.#world = world;
    this.#sums = Rng.named(world.script.seed, 'wrong sums');
    this.#wrongSums = world.script.transfers?.wrongSums ?? 0;
  }

  /** A machine with a fresh join token. */
  join(trust: 'own' | 'rented', slots: number): Member {
    const name = `${trust}-${this.members.length}`;
    const member: Member = {
      name,
      trust,
      slots,
      machine: machineOf(this.#world.script.seed, name),
      id: undefined,
      process: undefined,
      boots: 0,
      disk: {
        credential: `sp-run-${sha(`credential ${name}`)}`,
        keepFails: 0,
        keepDies: 0,
        ...(this.#world.script.caches === true ? { cache: new Map<string, string>() } : {}),
      },
      version: this.#world.offered ?? '1',
      testing: 'right',
      thieves: [],
    };
    this.members.push(member);
    void this.#register(member);
    return member;
  }

  /** Whether any runner still holds a grant, be it one that no longer counts. */
  working(): boolean {
    return this.members.some(({ process, thieves }) => [process, ...thieves].some((one) => one?.alive === true && one.holds > 0));
  }

  leave(member: Member): void {
    member.process?.die();
    member.process = undefined;
  }

  /** The process starts anew: what it worked on is gone. */
  boot(member: Member): void {
    this.leave(member);
    if (member.id === undefined) return;
    const { id } = member;
    member.boots += 1;
    const bootId = `boot-${String(member.boots).padStart(4, '0')}`;
    const world = this.#world;
    member.process = this.#process(member, id, bootId, {
      onRefused: () => {
        world.note(`${member.name} was refused`);
        world.fleetOracle.died(id);
      },
      onEnded: () => {
        member.version = world.offered ?? member.version;
        world.clock.at(START_AGAIN_MS, () => this.#bootDead(member));
      },
    });
  }

  #bootDead(member: Member): void {
    if (member.process?.alive !== true) this.boot(member);
  }

  #process(
    member: Member,
    id: RunnerId,
    bootId: string,
    more: Pick<RunnerParts, 'onRefused' | 'onEnded'> & Partial<RunnerParts>,
  ): FakeRunner {
    const world = this.#world;
    const { clock, faults, objects, disks } = world;
    const parts: RunnerParts = {
      id,
      name: member.name,
      trust: member.trust,
      slots: member.slots,
      machine: member.machine,
      disk: member.disk,
      version: member.version,
      rotates: world.script.fleet?.credentialMs !== undefined,
      longStages: world.script.longStages === true,
      clock,
      rng: Rng.named(world.script.seed, `${member.name} ${bootId.startsWith('boot') ? member.boots : bootId}`),
      faults,
      objects,
      disks: member.trust === 'own' ? disks : undefined,
      errandFault: () => world.errandFault(member.name),
      lostDatabases: () => world.lostDatabases,
      plane: () => world.plane,
      fault: (attempt, trust) => world.stageFault(attempt, trust),
      testing: (answered) => (member.testing !== 'turns' ? member.testing : answered < TESTED.size ? 'right' : 'turns'),
      told: () => world.fleetOracle,
      wrongSum: world.script.transfers === undefined ? undefined : () => this.#wrongSum(member),
      nosy: () => this.#othersOf(member, id),
      ...more,
    };
    return new FakeRunner(parts, bootId);
  }

  /** Whether a rented runner's manifest of what it makes now is of something else. */
  #wrongSum({ trust, name }: Member): boolean {
    const world = this.#world;
    if (trust === 'own' || this.#wrongSums <= 0 || world.healed || !this.#sums.chance(30)) return false;
    this.#wrongSums -= 1;
    world.strike('runner_lies', `${name} makes up a manifest`);
    return true;
  }

  /** Attempts that others work on, as a rented runner asks for their URLs that found out about them. */
  #othersOf({ trust }: Member, id: RunnerId): HeartbeatRequest['attempts'] {
    if (trust === 'own' || this.#world.script.transfers?.nosy !== true) return [];
    const names = ['sealed', 'unsealed', 'piece', TREE_D, P_AUX, T_AUX, VANILLA_PROOFS];
    const urls = { inputs: names, parts: names.map((name) => ({ name, numbers: [1] })) };
    const others = this.#world.reader.running().filter(({ runner }) => runner !== id);
    return others.slice(0, 3).map(({ id: attempt, epoch }) => ({ attempt: attempt as AttemptId, epoch, urls }));
  }

  /** Somebody else has a copy of its credential, and a process with it. `late`: that speaks once the credential was replaced. */
  async steal(member: Member, late: boolean): Promise<void> {
    const { id, disk } = member;
    if (id === undefined) return;
    const world = this.#world;
    const copy: RunnerDisk = { credential: disk.credential, keepFails: 0, keepDies: 0 };
    world.fleetOracle.stolen(id);
    if (late) while (disk.credential === copy.credential && !world.healed) await world.clock.sleep(LOOK_AGAIN_MS);
    // A lease and more after that: what comes within one may have been on its way.
    if (late) await world.clock.sleep(LOOK_AGAIN_MS * 4);
    if (world.healed) return;
    world.strike('theft', `somebody has the credential of ${member.name}`);
    const stalls = member.trust === 'own' || world.rng.chance(50);
    const thief = this.#process(member, id, `thief-${String(member.thieves.length + 1).padStart(4, '0')}`, {
      disk: copy,
      disks: undefined,
      onRefused: () => world.note(`a thief of ${member.name} was refused`),
      onEnded: () => undefined,
      ...(stalls ? { fault: () => 'stalls' as const } : {}),
    });
    member.thieves.push(thief);
  }

  /** Told to end, and started again later. */
  async term(member: Member, awayMs: number): Promise<void> {
    const ended = member.process;
    if (ended?.alive !== true) return;
    await ended.term();
    await this.#world.clock.sleep(awayMs);
    if (member.process === ended) this.#bootDead(member);
  }

  /** After the faults an operator lets back in whom nobody has anything against: thieves were ended. */
  async readmit(): Promise<void> {
    for (const member of this.members) {
      const standing = member.id === undefined ? undefined : this.#world.fleetOracle.standing(member.id);
      if (standing === undefined || standing.status === 'ready' || standing.status === 'banned') continue;
      if (standing.status !== 'quarantined' || standing.stolen) await this.setStatus(member, 'ready');
    }
  }

  /** Of a runner against which there is nothing and which would get no work all the same: why. */
  unfit(): string | undefined {
    const { fleetOracle, reader, script } = this.#world;
    const rows = new Map(reader.runners().map((row) => [row.id, row]));
    for (const { id, name, trust, process } of this.members) {
      const row = id === undefined ? undefined : rows.get(id);
      if (id === undefined || row === undefined || process?.alive !== true) continue;
      const standing = fleetOracle.standing(id);
      if (row.status !== 'ready' && row.status !== 'quarantined' && row.status !== 'banned')
        return `${name} is ${row.status} although an operator lifted that`;
      if (row.status !== 'ready' || standing?.stolen === true) continue;
      if (row.boot_id !== process.bootId) return `${name} runs as ${process.bootId}, its control plane knows ${row.boot_id}`;
      if (row.agent_version !== process.version)
        return `${name} runs version ${process.version}, its control plane says ${row.agent_version}`;
      const held = script.fleet?.selfTest === 'all' || (script.fleet?.selfTest === 'rented' && trust === 'rented');
      const passed = (JSON.parse(row.tests ?? '{"stages":{}}') as { stages: Record<string, { passed: boolean }> }).stages;
      const failed = held ? [...TESTED].find((stage) => passed[stage]?.passed !== true) : undefined;
      if (failed !== undefined) return `${name} answers self-tests rightly, and that of ${failed} has not passed`;
    }
    return undefined;
  }

  /** Artifacts in a cache that no job needs: a runner's name, and a key. */
  hoards(needed: ReadonlySet<string>): string | undefined {
    for (const { name, process, disk } of this.members) {
      const key = [...(disk.cache?.keys() ?? [])].find((one) => !needed.has(one));
      if (process?.alive === true && key !== undefined) return `${name} keeps ${key}, which no job needs`;
    }
    return undefined;
  }

  /** Steps of moves and checks that are under way, or whose answers are. */
  errandsDone(): boolean {
    return this.members.every(({ process }) => process?.alive !== true || process.errandsDone);
  }

  /** As an operator does it. */
  async setStatus(member: Member, status: RunnerRow['status']): Promise<void> {
    const { id } = member;
    if (id !== undefined) await this.#world.plane?.run((ctx) => void setRunnerStatus(ctx, id, status, `${status} by hand`));
  }

  /** First with what a rented one may not offer: the refusal leaves its token as it was. */
  async #refused(plane: ControlPlane, member: Member): Promise<void> {
    const hash = tokenOf(member);
    await plane.run((ctx) => {
      if (ctx.tx.joinToken(hash) === undefined) insertToken(ctx, member);
    });
    try {
      await plane.run((ctx) => void registerRunner(ctx, requestOf(member, ['store']), hash, hashSecret(member.disk.credential)));
      this.#world.breach('refusal', `${member.name} is rented and offers miner storage, and was let in`);
    } catch (error) {
      if (!(error instanceof SealpoolError) || error.status >= 500) throw error;
    }
    const usedBy = await plane.run((ctx) => ctx.tx.joinToken(hash)?.usedBy ?? null);
    if (usedBy !== null) this.#world.breach('refusal', `${member.name} was refused, and its join token is burnt by ${usedBy}`);
  }

  async #register(member: Member): Promise<void> {
    const { clock } = this.#world;
    while (member.id === undefined) {
      const { plane } = this.#world;
      try {
        if (plane === undefined) throw new Error('nobody answers');
        if (member.trust === 'rented') await this.#refused(plane, member);
        const row = await plane.run((ctx) => {
          const known = ctx.tx.runnerByCredential(hashSecret(member.disk.credential));
          if (known !== undefined) return known;
          const hash = tokenOf(member);
          if (ctx.tx.joinToken(hash) === undefined) insertToken(ctx, member);
          return registerRunner(
            ctx,
            requestOf(member, member.trust === 'own' ? this.#world.disks.all.map(({ id }) => id) : []),
            hash,
            hashSecret(member.disk.credential),
          );
        });
        member.id = row.id;
        this.boot(member);
      } catch {
        await clock.sleep(REGISTER_AGAIN_MS);
      }
    }
  }
}

const tokenOf = ({ name }: Member): string => sha(`token ${name}`);

function insertToken(ctx: Context, member: Member): void {
  const { trust, machine } = member;
  ctx.tx.insertJoinToken({ hash: tokenOf(member), trust, labels: machine.labels, expiresMs: ctx.nowMs + 1e9, usedBy: null });
}

function requestOf({ name, machine }: Member, storage: string[]): RegisterRequest {
  return {
    token: 'x'.repeat(32),
    name,
    bootId: 'boot-0001',
    agentVersion: '1',
    stages: [...Stage.options],
    storage,
    resources: machine.resources,
  };
}
