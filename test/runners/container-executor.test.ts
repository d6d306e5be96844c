/** Stages in containers of a real Podman. */
import { afterAll, beforeAll, describe } from 'vitest';
import { executorSuite } from './executor-conformance.ts';
import { NEEDS_PODMAN, type Podman, hasPodman, startPodman } from './podman.ts';

describe.runIf(hasPodman)(`containers (${NEEDS_PODMAN})`, { timeout: 90_000 }, () => {
  let podman: Podman;
  beforeAll(async () => {
    podman = await startPodman();
  }, 120_000);
  afterAll(async () => podman?.close(), 120_000);

  executorSuite(
    (dataDir) => ({ dataDir, id: '00000000000000c1', container: { socketPath: podman.socketPath, image: podman.image.byDigest } }),
    ['network', 'memory', 'processes', 'disk', 'capabilities', 'user', 'root', 'daemons'],
  );
});
