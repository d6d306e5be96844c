/** Joining a control plane with a single-use token. */
import { ApiError } from '../api/client.ts';
import { type Resources } from '../schema/runner.ts';
import { Stage } from '../schema/stage.ts';
import { CannotRun } from './cannot-run.ts';
import type { ControlPlane } from './control-plane.ts';
import { type Identity, keepIdentity } from './identity.ts';
import { Backoff, pause } from './lanes.ts';
import type { AgentOptions } from './options.ts';

/** Told to the control plane when it registers. */
export const AGENT_VERSION = '0.1.0';

/** Stages that only a runner with miner storage can do. */
const NEEDS_STORAGE: ReadonlySet<Stage> = new Set<Stage>(['Persist', 'Publish']);

/** What it offers when nothing else is said. */
export function offeredStages(options: Pick<AgentOptions, 'stages' | 'storage'>): Stage[] {
  return [...(options.stages ?? Stage.options.filter((stage) => options.storage.length > 0 || !NEEDS_STORAGE.has(stage)))];
}

/**
 * Registers and keeps the identity. Waits for a control plane that is away; a refusal is thrown as it was said. Every try has the
 * same boot id and name: by these an answer that was lost is given again.
 */
export async function register(
  options: AgentOptions,
  controlPlane: ControlPlane,
  bootId: string,
  resources: Resources,
  signal: AbortSignal,
): Promise<Identity> {
  if (options.joinToken === undefined) {
    throw new CannotRun(
      'configuration',
      `this runner has no identity in ${options.dataDir} and no join token; have an operator make a token and give it with --join-token-file or SEALPOOL_RUNNER_JOIN_TOKEN`,
    );
  }
  const backoff = new Backoff(250, 5_000);
  for (;;) {
    try {
      const identity = await controlPlane.register({
        token: options.joinToken,
        name: options.name,
        bootId,
        agentVersion: AGENT_VERSION,
        stages: offeredStages(options),
        storage: options.storage.map(({ id }) => id),
        resources,
      });
      await keepIdentity(options.dataDir, identity);
      options.log('info', 'registered', { runner: identity.runnerId });
      return identity;
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof ApiError && error.problem.status < 500 && error.problem.status !== 429) throw error;
      options.log('warn', `registering: ${error instanceof Error ? error.message : String(error)}; tried again`);
    }
    await pause(backoff.nextMs(), signal);
    signal.throwIfAborted();
  }
}
