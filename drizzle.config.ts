/** `npx drizzle-kit generate` writes the next file of `migrations/` from the tables. */
import { defineConfig } from 'drizzle-kit';

export const config = defineConfig({ dialect: 'sqlite', schema: './src/store/tables.ts', out: './migrations' });

// The tool reads the default export only.
export default config;
