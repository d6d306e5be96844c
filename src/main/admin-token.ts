/** The first admin token: in DATA/admin.token, mode 0600, before the database knows its hash. */
import { open, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Door } from '../api/door.ts';
import { hashSecret, newSecret } from '../api/secrets.ts';
import { fsyncFolder } from '../objects/durable.ts';
import type { ApiTokenRow, Ids } from '../scheduler/ports.ts';

/** Writes a secret so that after a crash the file is whole or not there at all; once this returns it is there. */
export async function writeSecretFile(path: string, secret: string): Promise<void> {
  const draft = `${path}.new`;
  const file = await open(draft, 'w', 0o600);
  try {
    await file.chmod(0o600);
    await file.writeFile(`${secret}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(draft, path);
  await fsyncFolder(dirname(path));
}

/** Makes the first admin token where there is none yet; answers its file. */
export async function firstAdminToken(door: Door, ids: Ids, dataDir: string): Promise<string> {
  const path = join(dataDir, 'admin.token');
  const any = await door.run((ctx) => ctx.tx.apiTokens().length > 0);
  if (any) return path;
  const { secret } = newSecret(ids, 'api');
  // The file first: a crash between the two leaves a file that the next start replaces, never a lost token.
  await writeSecretFile(path, secret);
  await door.run((ctx) => {
    const row: ApiTokenRow = {
      id: ctx.ids.next('t') as ApiTokenRow['id'],
      hash: hashSecret(secret),
      name: 'first-admin',
      role: 'admin',
      miners: null,
      createdMs: ctx.nowMs,
      revokedMs: null,
      expiresMs: null,
      previousHash: null,
      previousUntilMs: null,
    };
    ctx.tx.insertApiToken(row);
  });
  return path;
}
