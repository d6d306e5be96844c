/**
 * Outputs that are whole while their stage goes on (PC1's layers): sent one after another, and told of, so that they
 * outlive the attempt. What fails here costs nothing: it is sent at the end, with the others.
 */
import { lstat } from 'node:fs/promises';
import type { Checkpoint, Grant, NextAnswer, OutputSlot, ReportedOutput } from '../schema/runner.ts';
import type { z } from 'zod';
import type { ArtifactCache } from './artifact-cache.ts';
import { pause } from './lanes.ts';
import type { Log } from './options.ts';
import type { WholeOutput } from './progress.ts';
import { type MadeOutput, madeOutput } from './prover-stage.ts';
import type { TransferOptions } from './transfer-errors.ts';
import { upload } from './upload.ts';

type Reported = z.infer<typeof ReportedOutput>;

const RETRY_LATER_MS = 1_000;

export type EarlyParts = {
  readonly grant: Grant;
  readonly outDir: string;
  readonly cache: ArtifactCache | undefined;
  readonly transfer: TransferOptions;
  /** The patience with outputs of the stage that has ended: nobody sends them later. */
  readonly sendPatienceMs: number;
  readonly log: Log;
  readonly about: Record<string, unknown>;
  /** Called when there is something to tell. */
  readonly tell: () => void;
};

export class EarlyOutputs {
  readonly #parts: EarlyParts;
  readonly #stop = new AbortController();
  readonly #heard = new Set<string>();
  readonly #sent = new Map<string, Reported>();
  /** Told and on its way to the control plane, or refused there. */
  readonly #told = new Set<string>();
  readonly #kept = new Set<string>();
  #queue: Promise<void> = Promise.resolve();

  constructor(parts: EarlyParts) {
    this.#parts = parts;
  }

  /** The stage says that an output is whole. */
  heard({ name, sizeBytes, hash }: WholeOutput): void {
    const slot = this.#parts.grant.outputs.find((one) => one.name === name && one.early === true);
    if (slot === undefined || this.#heard.has(name)) return;
    this.#heard.add(name);
    this.#queue = this.#queue.then(() => this.#sendEarly(slot, { sizeBytes, hash }));
  }

  /** What the control plane does not know yet of what was sent. */
  untold(): Checkpoint[] {
    const { attempt, epoch } = this.#parts.grant;
    return [...this.#sent.values()]
      .filter(({ name }) => !this.#kept.has(name) && !this.#told.has(name))
      .map((output) => ({ attempt, epoch, output }));
  }

  /** `status` undefined: the call failed. */
  answered(name: string, status: NonNullable<NextAnswer['checkpoints']>[number]['status'] | undefined): void {
    if (status === 'accepted' || status === 'duplicate') {
      this.#kept.add(name);
      this.#parts.log('info', 'output kept while the stage goes on', { ...this.#parts.about, output: name });
    } else if (status === undefined) this.#told.delete(name);
    else if (status === 'retry_later') {
      void pause(RETRY_LATER_MS, this.#stop.signal).then(() => {
        this.#told.delete(name);
        this.#parts.tell();
      });
    }
  }

  telling(name: string): void {
    this.#told.add(name);
  }

  /** Sends what the stage made and is not sent yet; answers what the report has to name. */
  async sendAll(made: readonly MadeOutput[], onSending: (name: string) => void): Promise<Reported[]> {
    await this.#queue;
    const outputs: Reported[] = [];
    for (const output of made) {
      const { name } = output.slot;
      const sent = this.#sent.get(name);
      if (sent?.hash === output.hash) {
        if (!this.#kept.has(name)) outputs.push(sent);
        continue;
      }
      onSending(name);
      outputs.push(await this.#send(output, this.#parts.sendPatienceMs));
    }
    return outputs;
  }

  /** Ends what is under way; settles when no file is read any more. */
  async close(): Promise<void> {
    this.#stop.abort(new Error('the stage has ended'));
    await this.#queue;
  }

  async #sendEarly(slot: OutputSlot, answered: { sizeBytes: string; hash: string }): Promise<void> {
    if (this.#stop.signal.aborted) return;
    try {
      const sent = await this.#send(await madeOutput(slot, this.#parts.outDir, answered), this.#parts.transfer.patienceMs);
      this.#sent.set(slot.name, sent);
      this.#parts.tell();
    } catch (error) {
      if (this.#stop.signal.aborted || this.#parts.transfer.signal.aborted) return;
      this.#parts.log('warn', `${slot.name} was not sent early: ${String(error)}; it is sent when the stage has ended`, this.#parts.about);
    }
  }

  async #send({ slot, path, sizeBytes, hash, changedMs }: MadeOutput, patienceMs: number): Promise<Reported> {
    const { transfer, cache, log, about } = this.#parts;
    const signal = AbortSignal.any([transfer.signal, this.#stop.signal]);
    const uploaded = await upload(slot, { path, sizeBytes, changedMs }, { ...transfer, patienceMs, signal });
    log('info', 'output sent', { ...about, output: slot.name, sizeBytes });
    if (slot.key !== undefined && (await lstat(path)).ctimeMs === changedMs) await cache?.keep(slot.key, path);
    return { name: slot.name, sizeBytes: String(sizeBytes), hash, ...uploaded };
  }
}

type Telling = { readonly early: EarlyOutputs | undefined; readonly report: { readonly outcome: string } | undefined };

/** What attempts have to tell between their reports: it is on its way until it is answered. A report of success names it itself. */
export class CheckpointMail {
  readonly checkpoints: readonly Checkpoint[];
  readonly #of = new Map<Checkpoint, EarlyOutputs>();

  constructor(attempts: Iterable<Telling>) {
    for (const { early, report } of attempts) {
      if (report?.outcome === 'done') continue;
      for (const checkpoint of early?.untold() ?? []) this.#of.set(checkpoint, early as EarlyOutputs);
    }
    this.checkpoints = [...this.#of.keys()].slice(0, 64);
  }

  /** Part of the request that takes it along. */
  get sent(): { checkpoints?: Checkpoint[] } {
    for (const checkpoint of this.checkpoints) this.#of.get(checkpoint)?.telling(checkpoint.output.name);
    return this.checkpoints.length === 0 ? {} : { checkpoints: [...this.checkpoints] };
  }

  /** `answers` undefined: the call failed. */
  answered(answers: NextAnswer['checkpoints']): void {
    for (const { attempt, output } of this.checkpoints) {
      const found = answers?.find((one) => one.attempt === attempt && one.name === output.name);
      const early = [...this.#of].find(([checkpoint]) => checkpoint.attempt === attempt)?.[1];
      early?.answered(output.name, found?.status);
    }
  }
}
