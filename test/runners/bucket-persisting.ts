/** A process that stores the files of one sector in a bucket: `bucket-persisting.ts ENDPOINT PREFIX WORK`. To be killed. */
import fs from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { S3Bucket } from '../../src/objects/s3-bucket.ts';
import { persist } from '../../src/runners/persist.ts';
import { StorageWatch } from '../../src/runners/storage-paths.ts';
import { optionsFor } from '../objects/s3-store.ts';

const [endpoint = '', prefix = '', work = ''] = process.argv.slice(2);
const roots = [{ id: 'main', path: `s3://test/${prefix}`, bucket: new S3Bucket(optionsFor(endpoint, { prefix })) }];
const names = { sealed: 'sealed/s-t01000-7', 'cache/p_aux': 'cache/s-t01000-7/p_aux' };
const inputs = await Promise.all(
  Object.keys(names).map(async (name) => {
    const bytes = await fs.readFile(join(work, 'in', name));
    return { name, url: '', sizeBytes: String(bytes.length), hash: `sha256:${createHash('sha256').update(bytes).digest('hex')}` };
  }),
);
await persist({
  grant: { attempt: 'a-killed0001' as never, inputs },
  work: {
    kind: 'persist',
    storage: 'main',
    files: Object.entries(names).map(([artifact, path]) => ({ artifact, path })),
    sectorJson: { path: 'cache/s-t01000-7/sector.json', content: { version: 2 } },
  },
  workDir: work,
  roots,
  watch: new StorageWatch(roots, work),
  progress: { note: () => undefined },
  signal: new AbortController().signal,
});
