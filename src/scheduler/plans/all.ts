/** The plans by name. A new flow is a new entry here, nothing in the engine. */
import type { PlanName } from '../../schema/job.ts';
import { SealpoolError } from '../../schema/problem.ts';
import type { AnyTable } from '../machine.ts';
import type { Plan } from '../plan.ts';
import { rebuildPlan } from './rebuild-plan.ts';
import { sealerPlan } from './sealer-plan.ts';
import { snapupPlan } from './snapup-plan.ts';
import { unsealPlan } from './unseal-plan.ts';

export const PLANS: Readonly<Record<PlanName, Plan>> = {
  sealer: sealerPlan,
  snapup: snapupPlan,
  rebuild: rebuildPlan,
  unseal: unsealPlan,
};

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
