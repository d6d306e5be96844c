/** The plans by name. A new flow is a new entry here, nothing in the engine. */
import type { PlanName } from '../../schema/job.ts';
import { SealpoolError } from '../../schema/problem.ts';
import type { AnyTable } from '../machine.ts';
import type { Plan } from '../plan.ts';
import { sealerApplyEffect, sealerApplyStage, sealerReadFailure } from './sealer-apply.ts';
import { sealerTodo } from './sealer-todo.ts';
import { sealerWork } from './sealer-work.ts';
import { SEALER } from './sealer.ts';

const sealer: Plan = {
  name: 'sealer',
  table: SEALER,
  order: Object.keys(SEALER).filter((state) => state !== 'Aborted'),
  madeIn: {
    layout: 'DealsAcquired',
    commD: 'DealsAcquired',
    treeD: 'PieceAdded',
    ticket: 'TreeDBuilt',
    layers: 'TicketAssigned',
    commR: 'PC1Done',
    challenge: 'PC2Done',
    preCommit: 'PC2Done',
    stored: 'PCLanded',
    storedChecked: 'Persisted',
    seed: 'PersistanceSubmitted',
    vanilla: 'SeedAssigned',
    proof: 'C1Done',
    proofBy: 'C1Done',
    proofChecked: 'C1Done',
    proveCommit: 'C2Done',
  },
  todo: sealerTodo,
  work: sealerWork,
  applyStage: sealerApplyStage,
  readFailure: sealerReadFailure,
  applyEffect: sealerApplyEffect,
};

export const PLANS: Readonly<Record<PlanName, Plan>> = { sealer };

/** The tables as `GET /v1/plans` serves them: `{plan: {State: {Event: NextState}}}`. */
export function planTables(): Record<string, AnyTable> {
  return Object.fromEntries(Object.entries(PLANS).map(([name, plan]) => [name, plan.table]));
}

/** The plan of that name, or a refusal that lists the plans there are. */
export function planOf(name: string): Plan {
  const plan = Object.hasOwn(PLANS, name) ? PLANS[name as PlanName] : undefined;
  if (plan === undefined)
    throw new SealpoolError('bad_request', 'unknown_plan', `there is no plan ${name}; plans are ${Object.keys(PLANS).join(', ')}`);
  return plan;
}
