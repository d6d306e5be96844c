/**
 * A CC sector and its upgrade before the real verifier, with proofs that C2 and SnapProve made once
 * (`record-update.ts`). Needs `make prover` and the parameters.
 */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { commitmentCid } from '../../src/chain/cids.ts';
import { replayUpdateProof } from '../../src/devnet/replay-proof.ts';
import { proofVerifier } from '../../src/devnet/proof-verifier.ts';
import { type Bench, bench, MINER, nextAt, preCommitWant, proveWant, pushUnchecked, send, type UpdateWant, windowOf } from './harness.ts';
import { updatingParams } from './update-params.ts';

const read = (name: string) => JSON.parse(readFileSync(new URL(name, import.meta.url), 'utf8'));
const seal = read('./recorded-seal.json') as { number: number; ticket: string; seed: string; commR: string; commD: string; proof: string };
const update = read('./recorded-update.json') as {
  commROld: string;
  commRNew: string;
  commDNew: string;
  pieces: { cid: string; paddedSizeBytes: string }[];
  proof: string;
};
const proof = Uint8Array.from(Buffer.from(update.proof, 'base64'));
const proverPath = fileURLToPath(new URL('../../bin/sealpool-prover', import.meta.url));
const about = { miner: MINER, number: String(seal.number), sealProof: 'StackedDrg2KiBV1_1', key: 'recorded' } as const;

/** Whether the prover is built and has the verifying key: without them there is nothing to show. */
const verify = proofVerifier({ proverPath, acceptReplay: false });
const ready =
  existsSync(proverPath) &&
  (await verify({ kind: 'update', ...about, ...update, proof }).then(
    () => true,
    () => false,
  ));

function wantWith(bytes: Uint8Array, change: Partial<UpdateWant> = {}): UpdateWant {
  return {
    method: 'ProveReplicaUpdates3',
    miner: MINER,
    number: seal.number,
    updateProof: 0,
    commR: commitmentCid('sealed', update.commRNew).toString(),
    pieces: update.pieces,
    proofBase64: Buffer.from(bytes).toString('base64'),
    ...change,
  };
}

describe.runIf(ready)('with the real prover', () => {
  let b: Bench;
  beforeEach(async () => {
    b = await bench({ acceptReplay: false, proverPath });
    await b.control({ fixRandomness: { ticket: seal.ticket, seed: seal.seed } });
    const ticket = await b.chain.ticket(MINER);
    await send(b, preCommitWant(seal.number, ticket.epoch, { commR: seal.commR }));
    await b.control({ advance: 12 });
    await send(b, proveWant(seal.number, Uint8Array.from(Buffer.from(seal.proof, 'base64'))));
    await b.control({ advance: 2 });
    // What the window's end brings shows one head later.
    await nextAt(b, (await windowOf(b, (await b.chain.sector(MINER, seal.number))?.deadline as number)).close + 1);
  });
  afterEach(() => b.end());

  test('sealed, proven, upgraded with a piece', async () => {
    const before = await b.chain.sector(MINER, seal.number);
    const cid = await send(b, wantWith(proof));
    await b.control({ advance: 2 });
    expect(await b.chain.message(cid, { number: seal.number })).toMatchObject({ state: 'landed', exitCode: 0, sectorOk: true });
    expect(await b.chain.sector(MINER, seal.number)).toEqual({
      ...before,
      commR: commitmentCid('sealed', update.commRNew).toString(),
      keyCommR: commitmentCid('sealed', seal.commR).toString(),
    });
  });

  test.each<[string, Uint8Array, Partial<UpdateWant>]>([
    ['a bit flipped', flipped(proof, 100), {}],
    ['the proof cut short', proof.subarray(0, 191), {}],
    ['another CommR', proof, { commR: commitmentCid('sealed', seal.commR).toString() }],
    ['no piece, so another CommD', proof, { pieces: [] }],
    ['the marked answer', replayUpdateProof({ ...update, ...about }), {}],
  ])('%s: exit 16, before it is signed and on the chain', async (_name, bytes, change) => {
    const want = wantWith(bytes, change);
    await expect(b.chain.sign(want, 0)).rejects.toMatchObject({ category: 'permanent', code: 'actor_exit', exitCode: 16 });
    expect(await pushUnchecked(b, { method: 35, params: await updatingParams(b, [want]), value: 0n })).toMatchObject({
      exitCode: 16,
      reason: 'no valid updates',
    });
    expect((await b.chain.sector(MINER, seal.number))?.keyCommR).toBeNull();
  });
});

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[at] = (copy[at] as number) ^ 1;
  return copy;
}

describe('a chain that takes marked answers', () => {
  const lenient = proofVerifier({ proverPath: '/nonexistent/sealpool-prover', acceptReplay: true });
  const marked = { kind: 'update', ...about, ...update, proof: replayUpdateProof({ ...update, ...about }) } as const;

  test('takes only those of the very update, and asks the prover about the rest', async () => {
    expect(await lenient(marked)).toBe(true);
    for (const change of [{ commROld: update.commRNew }, { commRNew: update.commROld }, { commDNew: seal.commD }, { number: '8' }]) {
      expect(await lenient({ ...marked, ...change })).toBe(false);
    }
    await expect(lenient({ ...marked, proof })).rejects.toThrow(/cannot be started/);
  });

  test('never takes one of an update for a seal', async () => {
    const { proof: answer } = marked;
    const likeness = { commR: update.commRNew, commD: update.commDNew, ticket: update.commROld, seed: seal.seed };
    expect(await lenient({ kind: 'seal', ...about, ...likeness, proof: answer })).toBe(false);
  });
});
