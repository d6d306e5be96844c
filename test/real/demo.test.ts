/** `make demo`, whole: one sector sealed with real proofs. The one test that waits for a real C2 (minutes). */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { startDev } from '../../scripts/demo/dev-process.ts';
import { createClient } from '../../src/api/client.ts';
import { SEALER } from '../../src/scheduler/plans/sealer.ts';

const ROOT = join(import.meta.dirname, '../..');
const MINUTES = 60_000;

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'sealpool-demo-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Runs the demo in a data folder of its own. */
function demo(data: string, ...args: string[]): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [join(ROOT, 'scripts/demo.ts'), ...args], {
      env: { ...process.env, SEALPOOL_DATA: data },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.on('close', (code) => resolve({ code, output }));
  });
}

/** One request to the prover, on files where they lie. */
function prove(work: string, stage: string, sector: object, files: Readonly<Record<string, string>>, params: object) {
  const inputs = Object.fromEntries(
    Object.entries(files).map(([name, path]) => {
      const hash = `sha256:${createHash('sha256').update(readFileSync(path)).digest('hex')}`;
      return [name, { path, sizeBytes: String(statSync(path).size), hash }];
    }),
  );
  const request = { version: 1, stage, network: 'dev', sector, inputs, outputDir: work, params };
  const { stdout } = spawnSync(join(ROOT, 'bin/sealpool-prover'), ['run'], { input: JSON.stringify(request), encoding: 'utf8' });
  return JSON.parse(stdout) as { ok: boolean; result: Record<string, unknown>; error?: { message: string } };
}

/** What the dev chain says; RPC answers of Lotus. */
async function onChain(url: string, token: string, method: string, params: unknown[]): Promise<Record<string, unknown>> {
  const answer = await fetch(`${url}/rpc/v1`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: `Filecoin.${method}`, params }),
  });
  return ((await answer.json()) as { result: Record<string, unknown> }).result;
}

test('a file that is none, or that does not fit, is refused in one sentence', { timeout: 2 * MINUTES }, async () => {
  const work = folder();
  const missing = await demo(join(work, 'data'), join(work, 'nothing'));
  expect(missing).toMatchObject({ code: 1, output: expect.stringContaining('is no file; give the path of one with FILE=path') });
  const large = join(work, 'large');
  writeFileSync(large, Buffer.alloc(2033, 7));
  const refused = await demo(join(work, 'data'), large);
  expect(refused).toMatchObject({ code: 1, output: expect.stringContaining('the largest has 2032 bytes') });
});

test('a file is sealed for real; prover, chain and storage agree, and the file comes out again', { timeout: 20 * MINUTES }, async () => {
  const work = folder();
  const data = join(work, 'data');
  const file = join(work, 'letter.txt');
  writeFileSync(file, 'What is sealed here must come out again. '.repeat(20));

  const { code, output } = await demo(data, file);
  expect(code, output).toBe(0);
  const reached = output.split('\n').flatMap((line) => /→ (\w+)/.exec(line)?.[1] ?? []);
  expect(reached).toEqual(Object.keys(SEALER).filter((state) => state !== 'Empty' && state !== 'Aborted'));
  expect(output).toContain('proof verified by the chain, exit code 0');

  const dev = await startDev(ROOT, data);
  onTestFinished(() => dev.end());
  const { job } = await createClient({ baseUrl: dev.url, token: readFileSync(dev.tokenFile, 'utf8').trim() }).sector('s-t01000-0');
  const chainToken = readFileSync(join(data, 'devnet/devnet.token'), 'utf8').trim();
  const info = await onChain(dev.chainUrl, chainToken, 'StateSectorGetInfo', ['t01000', 0, []]);
  expect(info['SealedCID']).toEqual({ '/': job.data.commR?.cid });

  const sector = { miner: 't01000', number: '0', sealProof: job.data.sealProof };
  const claim = { ticket: job.data.ticket?.value, commD: job.data.commD?.cid };
  const verified = prove(
    work,
    'verify-seal',
    sector,
    {},
    {
      ...claim,
      seed: job.data.seed?.value,
      commR: job.data.commR?.cid,
      proof: job.data.proof,
    },
  );
  expect(verified).toMatchObject({ ok: true, result: { valid: true } });

  const root = job.data.stored?.root ?? '';
  const sealed = join(root, 'sealed/s-t01000-0');
  const cache = (name: string): string => join(root, 'cache/s-t01000-0', name);
  const kept = { sealed, 'cache/p_aux': cache('p_aux'), 'cache/sc-02-data-tree-r-last.dat': cache('sc-02-data-tree-r-last.dat') };
  const checked = prove(work, 'check-sealed', sector, kept, { commR: (info['SealedCID'] as Record<string, string>)['/'] });
  expect(checked).toMatchObject({ ok: true, result: { treeRLastMatches: true } });

  const out = join(work, 'out');
  mkdirSync(out);
  const range = { offsetBytes: '0', sizeBytes: String(statSync(file).size) };
  const unsealed = prove(out, 'unseal-piece', sector, { sealed }, { ...claim, ...range });
  expect(unsealed.error).toBeUndefined();
  expect(readFileSync(join(out, 'piece'), 'utf8')).toBe(readFileSync(file, 'utf8'));
});
