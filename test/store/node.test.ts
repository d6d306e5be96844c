/** The conformance suite on better-sqlite3, each database a file in a folder of its own. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { openNodeStore } from '../../src/store/node.ts';
import { storeConformance } from './conformance.ts';

storeConformance(() => {
  const folder = mkdtempSync(join(tmpdir(), 'sealpool-store-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return {
    async use(body) {
      const store = openNodeStore({
        path: join(folder, 'sealpool.db'),
        onFatal(error) {
          throw error;
        },
      });
      try {
        return await body(store);
      } finally {
        store.close();
      }
    },
  };
});
