/** The stand-in is honest in all but the proof: real stages make its input, and it refuses what C2 would refuse. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { anyCommitment, commitmentHex } from '../../src/chain/cids.ts';
import { replayUpdateProofMatches } from '../../src/devnet/replay-proof.ts';
import { type ProverAnswer, REAL_PROVER, hashOf } from './replay-prover.ts';

const REPLAY_PROVER = join(import.meta.dirname, 'sealpool-prover');
const [TICKET, SEED] = ['11'.repeat(32), '22'.repeat(32)];

type File = { path: string; sizeBytes: string; hash: string };

describe.skipIf(!existsSync(REAL_PROVER))('replay prover', () => {
  let dir: string;
  const files: Record<string, File> = {};
  let claim: Record<string, string>;
  let runs = 0;

  async function run(
    stage: string,
    inputs: Record<string, File>,
    params: object,
    program = REPLAY_PROVER,
  ): Promise<ProverAnswer & { exitCode: number | null }> {
    const outputDir = `out-${runs++}`;
    await mkdir(join(dir, outputDir));
    const sector = { miner: 't01000', number: '7', sealProof: 'StackedDrg2KiBV1_1' };
    const child = spawn(program, ['run'], { cwd: dir, stdio: ['pipe', 'pipe', 'ignore'] });
    child.stdin.end(JSON.stringify({ version: 1, stage, network: 'dev', sector, inputs, outputDir, params }, null, 1));
    let stdout = '';
    child.stdout.on('data', (bytes: Buffer) => (stdout += bytes.toString()));
    const exitCode = await new Promise<number | null>((resolve) => child.once('close', resolve));
    const answer = JSON.parse(stdout) as ProverAnswer;
    for (const [name, output] of Object.entries(answer.outputs ?? {})) files[name] = { path: `${outputDir}/${name}`, ...output };
    return { ...answer, exitCode };
  }

  const vanilla = (): Record<string, File> => ({ 'vanilla-proofs.json': files['vanilla-proofs.json'] as File });
  const cid = (answer: ProverAnswer, name: string): string => (answer.result[name] as { cid: string }).cid;

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'replay-'));
    const added = await run('add-piece', {}, { pieces: [] });
    const data = { ticket: TICKET, commD: cid(added, 'commD') };
    await run('tree-d', {}, { pieces: added.result['pieces'] });
    await run('pc1', {}, data);
    const { unsealed: _unsealed, ...cache } = files;
    claim = { ...data, seed: SEED, commR: cid(await run('pc2', { ...cache }, data), 'commR') };
    const { unsealed: _again, ...all } = files;
    await run('c1', { ...all }, claim);
  }, 120_000);
  afterAll(async () => rm(dir, { recursive: true, force: true }));

  test('its proof is marked, verifies for its own statement by itself, and not by the real program', async () => {
    const made = await run('c2', vanilla(), claim);
    expect(made).toMatchObject({ ok: true, exitCode: 0 });
    const proof = String(made.result['proof']);
    expect(Buffer.from(proof, 'base64').subarray(0, 16).toString()).toBe('SEALPOOL-REPLAY:');
    const kept = await readFile(join(dir, (files['proof.bin'] as File).path));
    expect([kept.toString('base64'), hashOf(kept)]).toEqual([proof, (files['proof.bin'] as File).hash]);
    expect(await run('verify-seal', {}, { ...claim, proof })).toMatchObject({ ok: true, result: { valid: true } });
    expect(await run('verify-seal', {}, { ...claim, proof, seed: TICKET })).toMatchObject({
      ok: false,
      exitCode: 5,
      error: { code: 'proof_invalid' },
    });
    expect(await run('verify-seal', {}, { ...claim, proof }, REAL_PROVER)).toMatchObject({ ok: false });
  });

  test('c2 refuses an input of another size or hash, and vanilla proofs of another statement', async () => {
    const file = files['vanilla-proofs.json'] as File;
    const differs = { ok: false, exitCode: 3, error: { code: 'input_differs', input: 'vanilla-proofs.json' } };
    expect(await run('c2', { 'vanilla-proofs.json': { ...file, sizeBytes: '7' } }, claim)).toMatchObject(differs);
    expect(await run('c2', { 'vanilla-proofs.json': { ...file, hash: `sha256:${'0'.repeat(64)}` } }, claim)).toMatchObject(differs);
    const invalid = { ok: false, exitCode: 4, error: { code: 'input_invalid' } };
    expect(await run('c2', vanilla(), { ...claim, seed: TICKET })).toMatchObject(invalid);
    const other = Buffer.from('{}');
    await writeFile(join(dir, 'other.json'), other);
    expect(await run('c2', { 'vanilla-proofs.json': { path: 'other.json', sizeBytes: '2', hash: hashOf(other) } }, claim)).toMatchObject(
      invalid,
    );
  });

  describe('of an update', () => {
    const data = Buffer.alloc(2032, 'data of a client. ');
    const update = (): Record<string, File> => ({ 'update-vanilla-proofs.json': files['update-vanilla-proofs.json'] as File });
    let change: Record<string, string>;

    beforeAll(async () => {
      await writeFile(join(dir, 'letter'), data);
      const piece = { path: 'letter', sizeBytes: String(data.length), hash: hashOf(data) };
      const added = await run('add-piece', { 'piece-0': piece }, { pieces: [{ input: 'piece-0', paddedSizeBytes: '2048', cid: null }] });
      const { sealed, unsealed } = files as { sealed: File; unsealed: File };
      const names = ['cache/p_aux', 'cache/t_aux', 'cache/sc-02-data-tree-r-last.dat'];
      const cache = Object.fromEntries(names.map((name) => [name, files[name] as File]));
      const commD = cid(added, 'commD');
      const encoded = await run(
        'snap-encode',
        { sealed, unsealed, ...cache },
        { commR: claim['commR'], commD, pieces: added.result['pieces'] },
      );
      change = { commROld: claim['commR'] as string, commRNew: cid(encoded, 'commR'), commDNew: commD };
    }, 60_000);

    test('its proof is marked, is what the dev chain takes for this update, and is none of a seal', async () => {
      const made = await run('snap-prove', update(), change);
      expect(made).toMatchObject({ ok: true, exitCode: 0 });
      const proof = String(made.result['proof']);
      const hex = (kind: 'sealed' | 'unsealed', text: string): string => commitmentHex(kind, anyCommitment(kind, text));
      const statement = {
        miner: 'f01000',
        number: '7',
        commROld: hex('sealed', change['commROld'] as string),
        commRNew: hex('sealed', change['commRNew'] as string),
        commDNew: hex('unsealed', change['commDNew'] as string),
      };
      expect(replayUpdateProofMatches(Buffer.from(proof, 'base64'), statement)).toBe(true);
      expect(await run('verify-update', {}, { ...change, proof })).toMatchObject({ ok: true, result: { valid: true } });
      const refused = { ok: false, exitCode: 5, error: { code: 'proof_invalid' } };
      expect(await run('verify-update', {}, { ...change, commRNew: claim['commR'], proof })).toMatchObject(refused);
      expect(await run('verify-seal', {}, { ...claim, proof })).toMatchObject(refused);
      expect(await run('verify-update', {}, { ...change, proof }, REAL_PROVER)).toMatchObject({ ok: false });
    });

    test('snap-prove refuses what holds no vanilla proofs', async () => {
      await writeFile(join(dir, 'no-proofs.json'), '[]');
      const input = { path: 'no-proofs.json', sizeBytes: '2', hash: hashOf(Buffer.from('[]')) };
      expect(await run('snap-prove', { 'update-vanilla-proofs.json': input }, change)).toMatchObject({
        ok: false,
        exitCode: 4,
        error: { code: 'input_invalid', input: 'update-vanilla-proofs.json' },
      });
    });

    test('the data comes out again, byte for byte', async () => {
      const { sealed, update: replica } = files as { sealed: File; update: File };
      const params = { commD: change['commDNew'], commROld: change['commROld'], offsetBytes: '0', sizeBytes: String(data.length) };
      expect(await run('unseal-piece', { sealed, update: replica }, params)).toMatchObject({ ok: true });
      expect((await readFile(join(dir, (files['piece'] as File).path))).equals(data)).toBe(true);
    });
  });

  test('a request that is none is answered as the real program does', async () => {
    expect(await run('c2', {}, claim)).toMatchObject({ ok: false, exitCode: 2, error: { code: 'bad_request' } });
    expect(await run('no-such-stage', {}, {})).toMatchObject({ ok: false, exitCode: 2, error: { code: 'bad_request' } });
  });
});
