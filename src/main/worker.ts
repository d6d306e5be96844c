/**
 * The control plane on Cloudflare Workers: one Durable Object is one shard (one writer, one SQLite database).
 * This is the only place that puts the parts together there, as `node.ts` is on Node.
 */
import { DurableObject } from 'cloudflare:workers';
import type { Store } from '../scheduler/ports.ts';
import { openDurableStore } from '../store/durable.ts';

/** What `wrangler.toml` binds. */
export interface WorkerEnv {
  readonly CONTROL_PLANE: DurableObjectNamespace<ControlPlaneObject>;
}

/** One shard's control plane; its database is the object's own SQLite. */
export class ControlPlaneObject extends DurableObject<WorkerEnv> {
  readonly store: Store;

  constructor(state: DurableObjectState, env: WorkerEnv) {
    super(state, env);
    this.store = openDurableStore(state.storage);
  }
}

export default {
  fetch(): Response {
    return new Response('this worker serves no route of its own; address a control plane object\n', { status: 404 });
  },
} satisfies ExportedHandler<WorkerEnv>;
