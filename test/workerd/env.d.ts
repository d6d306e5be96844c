import type { WorkerEnv } from '../../src/main/worker.ts';

declare global {
  namespace Cloudflare {
    interface Env extends WorkerEnv {}
  }
}
