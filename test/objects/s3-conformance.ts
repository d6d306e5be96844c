/** The port's suite over the S3 adapter and a server. */
import { objectStoreConformance } from './conformance.ts';
import { LEAST_PART_BYTES, type startSeaweedfs } from './s3-servers.ts';
import { openStore } from './s3-store.ts';

export function s3Conformance(name: string, start: typeof startSeaweedfs): void {
  objectStoreConformance(name, async () => {
    const server = await start();
    const store = openStore(server.endpoint);
    const close = async (): Promise<void> => {
      store.close();
      await server.close();
    };
    return { store, partSizeBytes: LEAST_PART_BYTES, close };
  });
}
