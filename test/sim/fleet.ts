/** The fleet: runners that join, leave, freeze, start anew and are sent away. */
import { registerRunner, setRunnerStatus } from '../../src/scheduler/fleet.ts';
import type { Context } from '../../src/scheduler/context.ts';
import type { RunnerId } from '../../src/schema/ids.ts';
import { SealpoolError } from '../../src/schema/problem.ts';
import type { RegisterRequest } from '../../src/schema/runner.ts';
import type { RunnerRow } from '../../src/scheduler/ports.ts';
import { Stage } from '../../src/schema/stage.ts';
import type { ControlPlane } from './control-plane.ts';
import { FakeRunner } from './fake-runner.ts';
import { type MachineWords, machineOf } from './machines.ts';
import { Rng } from './prng.ts';
import { sha } from './replica.ts';
import type { World } from './world.ts';

type Member = {
  readonly name: string;
  readonly trust: 'own' | 'rented';
  readonly slots: number;
  readonly machine: MachineWords;
  id: RunnerId | undefined;
  process: FakeRunner | undefined;
  boots: number;
};

const REGISTER_AGAIN_MS = 2_000;

export class Fleet {
  readonly members: Member[] = [];
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  /** A machine with a fresh join token. */
  join(trust: 'own' | 'rented', slots: number): Member {
    const name = `${trust}-${this.members.length}`;
    const machine = machineOf(this.#world.script.seed, name);
    const member: Member = { name, trust, slots, machine, id: undefined, process: undefined, boots: 0 };
    this.members.push(member);
    void this.#register(member);
    return member;
  }

  /** Whether any runner still holds a grant, be it one that no longer counts. */
  working(): boolean {
    return this.members.some(({ process }) => process?.alive === true && process.holds > 0);
  }

  leave(member: Member): void {
    member.process?.die();
    member.process = undefined;
  }

  /** The process starts anew: what it worked on is gone. */
  boot(member: Member): void {
    this.leave(member);
    if (member.id === undefined) return;
    const { clock, faults, objects, storage } = this.#world;
    member.boots += 1;
    member.process = new FakeRunner(
      {
        name: member.name,
        trust: member.trust,
        slots: member.slots,
        machine: member.machine,
        credential: credentialOf(member),
        clock,
        rng: Rng.named(this.#world.script.seed, `${member.name} ${member.boots}`),
        faults,
        objects,
        storage: member.trust === 'own' ? storage : undefined,
        plane: () => this.#world.plane,
        fault: (attempt, trust) => this.#world.stageFault(attempt, trust),
        onRefused: () => this.#world.note(`${member.name} was refused`),
      },
      member.boots,
    );
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
      await plane.run((ctx) => void registerRunner(ctx, requestOf(member, true), hash, credentialOf(member)));
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
          const known = ctx.tx.runnerByCredential(credentialOf(member));
          if (known !== undefined) return known;
          const hash = tokenOf(member);
          if (ctx.tx.joinToken(hash) === undefined) insertToken(ctx, member);
          return registerRunner(ctx, requestOf(member, member.trust === 'own'), hash, credentialOf(member));
        });
        member.id = row.id;
        this.boot(member);
      } catch {
        await clock.sleep(REGISTER_AGAIN_MS);
      }
    }
  }
}

const credentialOf = ({ name }: Member): string => sha(`credential ${name}`);
const tokenOf = ({ name }: Member): string => sha(`token ${name}`);

function insertToken(ctx: Context, member: Member): void {
  const { trust, machine } = member;
  ctx.tx.insertJoinToken({ hash: tokenOf(member), trust, labels: machine.labels, expiresMs: ctx.nowMs + 1e9, usedBy: null });
}

function requestOf({ name, machine }: Member, withStorage: boolean): RegisterRequest {
  return {
    token: 'x'.repeat(32),
    name,
    bootId: 'boot-0001',
    agentVersion: '1',
    stages: [...Stage.options],
    storage: withStorage ? ['store'] : [],
    resources: machine.resources,
  };
}
