/** The agent: it takes DATA and the machine for itself, works until it is stopped, and gives them back. */
import { mkdir } from 'node:fs/promises';
import { type AgentEnd, AgentLoop } from './agent-loop.ts';
import { ArtifactCache } from './artifact-cache.ts';
import { lockData } from './data-lock.ts';
import type { OpenExecutor } from './executor.ts';
import { openExecutor } from './open-executor.ts';
import { type AgentOptions, slotsOf } from './options.ts';
import { findHardware } from './resources.ts';
import { checkStorage } from './storage-paths.ts';
import { clearLeftovers } from './work-folders.ts';

/** A running agent. */
export type Agent = {
  readonly runnerId: string;
  /** Takes nothing more, ends the stages, reports them `interrupted`, and gives DATA back. */
  stop(): Promise<void>;
  /** Settles when the agent has ended; rejects when its credential is refused. */
  readonly ended: Promise<AgentEnd>;
};

/** Registers (or goes on as who it was) and works until stopped. Waits for a control plane that is away. */
export async function runAgent(options: AgentOptions): Promise<Agent> {
  slotsOf(options);
  await mkdir(options.dataDir, { recursive: true });
  await checkStorage(options);
  const unlock = await lockData(options.dataDir);
  let executor: OpenExecutor | undefined;
  const release = async (): Promise<void> => {
    await executor?.close();
    await unlock();
  };
  try {
    const hardware = await findHardware(options.environment);
    executor = await openExecutor(options, hardware.gpus.length > 0);
    await clearLeftovers(options.dataDir, options.log, options.storage);
    const loop = new AgentLoop(options, hardware, executor, await ArtifactCache.open(options.dataDir, options.cacheBytes, options.log));
    const stop = (): void => loop.stop();
    options.signal?.addEventListener('abort', stop, { once: true });
    options.signal?.throwIfAborted();
    await loop.identify();
    const ended = loop.run().finally(release);
    ended.catch(() => undefined);
    return {
      runnerId: loop.identity.runnerId,
      ended,
      stop: async () => {
        loop.stop();
        await ended;
      },
    };
  } catch (error) {
    await release();
    throw error;
  }
}
