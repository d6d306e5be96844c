/** The S3 adapter against real servers: the port's suite on each. */
import { describe, vi } from 'vitest';
import { objectStoreConformance } from './conformance.ts';
import { HAS_SEAWEEDFS, HAS_VERSITYGW, LEAST_PART_BYTES, SERVER_HOOK_MS, startSeaweedfs, startVersitygw } from './s3-servers.ts';
import { openStore } from './s3-store.ts';

vi.setConfig({ testTimeout: 90_000, hookTimeout: SERVER_HOOK_MS });

for (const [name, has, start] of [
  ['SeaweedFS', HAS_SEAWEEDFS, startSeaweedfs],
  ['versitygw', HAS_VERSITYGW, startVersitygw],
] as const) {
  describe.runIf(has)(name, () => {
    objectStoreConformance(name, async () => {
      const server = await start();
      const store = openStore(server.endpoint);
      const close = async (): Promise<void> => {
        store.close();
        await server.close();
      };
      return { store, partSizeBytes: LEAST_PART_BYTES, close };
    });
  });
}
