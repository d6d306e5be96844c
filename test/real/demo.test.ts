/** `make demo FLOW=all`: one sector's whole life with real proofs. The one test that waits for them: a C2 and two SnapProve, minutes each. */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { startDev } from '../../scripts/demo/dev-process.ts';
import { createClient } from '../../src/api/client.ts';
import { PLANS } from '../../src/scheduler/plans/all.ts';

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

test('a file that is none, a flow that is none, a file that does not fit: refused in one sentence', { timeout: 2 * MINUTES }, async () => {
  const work = folder();
  const missing = await demo(join(work, 'data'), `--file=${join(work, 'nothing')}`);
  expect(missing).toMatchObject({ code: 1, output: expect.stringContaining('is no file; give the path of one with FILE=path') });
  const unknown = await demo(join(work, 'data'), '--flow=some');
  expect(unknown).toMatchObject({ code: 1, output: expect.stringContaining('give one of FLOW=sealer, FLOW=all') });
  const large = join(work, 'large');
  writeFileSync(large, Buffer.alloc(2033, 7));
  const refused = await demo(join(work, 'data'), `--file=${large}`);
  expect(refused).toMatchObject({ code: 1, output: expect.stringContaining('the largest has 2032 bytes') });
});

/** The states that the output shows a job of each plan going through, in order. */
function reached(output: string): string[][] {
  return output
    .split(/^Queued job .*$/m)
    .slice(1)
    .map((part) => part.split('\n').flatMap((line) => /→ (\w+)/.exec(line)?.[1] ?? []));
}

const through = (plan: keyof typeof PLANS): string[] => PLANS[plan].order.filter((state) => state !== 'Empty');

test('sealed, snapped with a file, lost, rebuilt, unsealed: prover, chain and storage agree', { timeout: 30 * MINUTES }, async () => {
  const work = folder();
  const data = join(work, 'data');
  const file = join(work, 'letter.txt');
  writeFileSync(file, 'What is sealed here must come out again. '.repeat(20));

  const { code, output } = await demo(data, '--flow=all', `--file=${file}`);
  expect(code, output).toBe(0);
  expect(reached(output)).toEqual([through('sealer'), through('snapup'), through('rebuild'), through('unseal')]);
  expect(output.match(/proof verified by the chain, exit code 0/g)).toHaveLength(2);
  expect(output).toMatch(/update\/s-t01000-0: the same bytes as before/);
  expect(output).toContain(`equal ${file}`);

  const dev = await startDev(ROOT, data);
  onTestFinished(() => dev.end());
  const client = createClient({ baseUrl: dev.url, token: readFileSync(dev.tokenFile, 'utf8').trim() });
  const jobs = (await client.sectors({ limit: 10 })).items;
  const of = (plan: string) => jobs.find((job) => job.plan === plan) as (typeof jobs)[number];
  const [sealed, snapped, rebuilt] = [of('sealer'), of('snapup'), of('rebuild')];
  const chainToken = readFileSync(join(data, 'devnet/devnet.token'), 'utf8').trim();
  const info = await onChain(dev.chainUrl, chainToken, 'StateSectorGetInfo', ['t01000', 0, []]);
  expect(info['SectorKeyCID']).toEqual({ '/': sealed.data.commR?.cid });
  expect(info['SealedCID']).toEqual({ '/': snapped.data.snapCommR?.cid });

  const sector = { miner: 't01000', number: '0', sealProof: sealed.data.sealProof };
  const claim = { ticket: sealed.data.ticket?.value, commD: sealed.data.commD?.cid, seed: sealed.data.seed?.value };
  const proof = sealed.data.proof as string;
  const verify = (bytes: string) => prove(work, 'verify-seal', sector, {}, { ...claim, commR: sealed.data.commR?.cid, proof: bytes });
  expect(verify(proof)).toMatchObject({ ok: true, result: { valid: true } });
  const flipped = Buffer.from(proof, 'base64');
  flipped.writeUInt8(flipped.readUInt8(0) ^ 1, 0);
  expect(verify(flipped.toString('base64'))).toMatchObject({ ok: false, error: { code: 'proof_invalid' } });
  const update = { commROld: sealed.data.commR?.cid, commRNew: snapped.data.snapCommR?.cid, commDNew: snapped.data.snapCommD?.cid };
  for (const { data: made } of [snapped, rebuilt]) {
    const verified = prove(work, 'verify-update', sector, {}, { ...update, proof: made.snapProof });
    expect(verified).toMatchObject({ ok: true, result: { valid: true } });
  }

  const root = rebuilt.data.stored?.root ?? '';
  const kept = (folder: string, cache: string): Record<string, string> => ({
    [folder]: join(root, `${folder}/s-t01000-0`),
    [`${cache}/p_aux`]: join(root, `${cache}/s-t01000-0/p_aux`),
    [`${cache}/sc-02-data-tree-r-last.dat`]: join(root, `${cache}/s-t01000-0/sc-02-data-tree-r-last.dat`),
  });
  for (const [files, commR] of [
    [kept('sealed', 'cache'), info['SectorKeyCID']],
    [kept('update', 'update-cache'), info['SealedCID']],
  ] as const) {
    const checked = prove(work, 'check-sealed', sector, files, { commR: (commR as Record<string, string>)['/'] });
    expect(checked).toMatchObject({ ok: true, result: { treeRLastMatches: true } });
  }
  const json = JSON.parse(readFileSync(join(root, 'cache/s-t01000-0/sector.json'), 'utf8')) as Record<string, unknown>;
  expect(json).toMatchObject({ commR: sealed.data.commR, ticket: sealed.data.ticket, update: { commR: snapped.data.snapCommR } });
});
