/**
 * What may import what, as the table in docs/ARCHITECTURE.md says it. A folder that is not listed is a violation:
 * whoever adds one decides here what it may reach.
 */

/** What the files of one folder under src/ may import. */
export interface ImportRule {
  /** Folders or files under src/ besides their own. */
  readonly own: readonly string[];
  /** Packages; a name ending in `/*` covers its subpaths only, a plain name covers both. */
  readonly packages: readonly string[];
  /** Whether `node:` modules are allowed. */
  readonly node: boolean;
}

const PORTS = ['schema', 'scheduler/ports.ts', 'scheduler/effects.ts', 'scheduler/webhook-rows.ts', 'scheduler/storage-rows.ts'];
const CLIENT = ['schema', 'api/client.ts'];

export const IMPORT_RULES: Readonly<Record<string, ImportRule>> = {
  schema: { own: [], packages: ['zod'], node: false },
  scheduler: { own: ['schema'], packages: [], node: false },
  store: { own: PORTS, packages: ['drizzle-orm', 'better-sqlite3'], node: true },
  chain: {
    own: PORTS,
    packages: [
      'undici',
      'zod',
      '@ipld/dag-cbor',
      'multiformats',
      'iso-filecoin',
      '@noble/hashes',
      '@noble/curves',
      'fr32-sha2-256-trunc254-padded-binary-tree-multihash',
    ],
    node: true,
  },
  // The embedded store serves its signed URLs itself, so it brings routes along.
  objects: { own: PORTS, packages: ['undici', 'hono', 'zod', '@aws-sdk/client-s3', '@aws-sdk/s3-request-presigner'], node: true },
  rental: { own: PORTS, packages: ['undici', 'zod'], node: true },
  effects: { own: PORTS, packages: ['undici'], node: true },
  webhooks: { own: PORTS, packages: ['undici', 'standardwebhooks'], node: true },
  // The dev chain decodes with the same code that encodes; nothing of the control plane reaches it.
  devnet: {
    own: ['schema', 'chain'],
    packages: [
      'hono',
      '@hono/node-server',
      'zod',
      'better-sqlite3',
      '@ipld/dag-cbor',
      'multiformats',
      'iso-filecoin',
      '@noble/hashes',
      '@noble/curves',
    ],
    node: true,
  },
  // Reads other software's files; the CommD of their pieces is computed with the chain's own code.
  import: { own: ['schema', 'chain/comm-d.ts'], packages: ['zod', '@ipld/dag-cbor'], node: false },
  metrics: { own: PORTS, packages: ['prom-client'], node: false },
  api: { own: ['schema', 'scheduler'], packages: ['hono', '@hono/zod-openapi', 'zod', 'pino', '@noble/hashes'], node: false },
  runners: { own: CLIENT, packages: ['undici', 'zod'], node: true },
  cli: { own: [...CLIENT, 'import'], packages: ['zod'], node: true },
  dashboard: { own: CLIENT, packages: ['hono'], node: false },
};

/** Folders that may import everything, and that nothing else may import. */
export const COMPOSITION = ['main'];
