/** Whether a runner is to start anew with other files. */
import type { NextAnswer, NextRequest, Software } from '../schema/runner.ts';
import type { RunnerOffer } from '../schema/runner-offer.ts';
import type { ApiParts } from './parts.ts';

/** The files handed out now, where a runner says that it runs others; nothing for one that tells no hash. */
export async function upgradeOf({ runnerFiles }: ApiParts, software: Software | undefined): Promise<NextAnswer['upgrade']> {
  if (runnerFiles === undefined || software?.agent === undefined) return undefined;
  // One without files says so to who asks for them.
  const offer = await runnerFiles.offer().catch(() => undefined);
  return offer === undefined || !differs(software, offer) ? undefined : { agent: offer.agent.hash, prover: offer.prover.hash };
}

function differs({ arch, agent, prover }: Software, offer: RunnerOffer): boolean {
  return arch === offer.arch && (agent !== offer.agent.hash || (prover !== undefined && prover !== offer.prover.hash));
}

/** What such a runner asks for: it takes nothing more, and need not wait to hear it. */
export function drained(request: NextRequest): NextRequest {
  return request.software?.upgrades === true ? { ...request, freeSlots: 0, waitMs: 0 } : request;
}
