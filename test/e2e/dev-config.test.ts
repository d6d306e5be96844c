/** `sealpool dev` with a configuration file of its own and `--accept-replay`: every child goes by them. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createClient } from '../../src/api/client.ts';
import { REAL_PROVER } from '../replay-prover/replay-prover.ts';
import { Daemon, MINER, REPLAY_PROVER } from './processes.ts';

const FILE = `
miners = [{ id = "${MINER}", seal_proof = "StackedDrg2KiBV1_1", first_sector = 700, last_sector = 799 }]
workers = [{ name = "of-the-file", threads = 2 }]
[runner]
name = "named-in-the-file"
[devnet]
epoch_ms = 50
`;

test('the file reaches all three children, and the chain takes replayed proofs', { timeout: 120_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sealpool-dev-config-'));
  const file = join(folder, 'f.toml');
  writeFileSync(file, FILE);
  // The replay prover believes its own proofs. The chain's must not, or --accept-replay would make no difference.
  const prover = join(folder, 'prover');
  const program = `#!/bin/sh\ncase $(pwd -P) in */sealpool-verify-*) exec '${REAL_PROVER}' "$@" ;; esac\nexec '${REPLAY_PROVER}' "$@"\n`;
  writeFileSync(prover, program, { mode: 0o755 });
  const args = ['dev', '--data', join(folder, 'data'), '--config', relative(process.cwd(), file), '--accept-replay'];
  const dev = new Daemon(args, { SEALPOOL_PROVER: prover }, join(folder, 'dev.log'));
  onTestFinished(async () => {
    await dev.end('SIGTERM');
    rmSync(folder, { recursive: true, force: true });
  });
  const { url, tokenFile } = await dev.start();
  const client = createClient({ baseUrl: url, token: readFileSync(tokenFile, 'utf8').trim() });
  expect((await client.workers()).items).toMatchObject([{ worker: 'of-the-file', threads: [{ index: 0 }, { index: 1 }] }]);
  expect((await client.runners()).items).toMatchObject([{ name: 'named-in-the-file' }]);
  const { items } = await client.pledge({ plan: 'sealer', miner: MINER, count: 1 });
  const id = items[0]?.id ?? '';
  await expect.poll(async () => (await client.sector(id)).job.state, { timeout: 60_000, interval: 250 }).toBe('Finished');
  expect((await client.sector(id)).job.sector).toMatch(/700$/);
});
