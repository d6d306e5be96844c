/**
 * A proof that C2 made once, for the dev network's parameters (they follow from a published seed, so it
 * holds wherever they are), before the real verifier. Needs `make prover` and the parameters.
 */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { replayProof } from '../../src/devnet/replay-proof.ts';
import type { SealClaim } from '../../src/devnet/proof-claim.ts';
import { proofVerifier } from '../../src/devnet/proof-verifier.ts';
import { type Bench, bench, MINER, preCommitWant, proveWant, pushUnchecked, send } from './harness.ts';
import { provingParams } from './proving-params.ts';

const proverPath = fileURLToPath(new URL('../../bin/sealpool-prover', import.meta.url));
const recorded = JSON.parse(readFileSync(new URL('./recorded-seal.json', import.meta.url), 'utf8')) as {
  number: number;
  ticket: string;
  seed: string;
  commR: string;
  commD: string;
  proof: string;
};
const proof = Uint8Array.from(Buffer.from(recorded.proof, 'base64'));
const claim: SealClaim = {
  kind: 'seal',
  ...recorded,
  miner: MINER,
  number: String(recorded.number),
  sealProof: 'StackedDrg2KiBV1_1',
  proof,
  key: 'recorded',
};

/** Whether the prover is built and has the verifying key: without them there is nothing to show. */
const verify = proofVerifier({ proverPath, acceptReplay: false });
const ready =
  existsSync(proverPath) &&
  (await verify(claim).then(
    () => true,
    () => false,
  ));

describe.runIf(ready)('with the real prover', () => {
  let b: Bench;
  beforeEach(async () => {
    b = await bench({ acceptReplay: false, proverPath });
    await b.control({ fixRandomness: { ticket: recorded.ticket, seed: recorded.seed } });
    const ticket = await b.chain.ticket(MINER);
    await send(b, preCommitWant(recorded.number, ticket.epoch, { commR: recorded.commR }));
    await b.control({ advance: 12 });
  });
  afterEach(() => b.end());

  test('the recorded proof is taken', async () => {
    const cid = await send(b, proveWant(recorded.number, proof));
    await b.control({ advance: 2 });
    expect(await b.chain.message(cid, { number: recorded.number })).toMatchObject({ state: 'landed', exitCode: 0, sectorOk: true });
  });

  test.each([0, 50, 100, 191])('with bit 0 of byte %i flipped it is refused: exit 16', async (at) => {
    const flipped = Uint8Array.from(proof);
    flipped[at] = (flipped[at] as number) ^ 1;
    expect(await pushUnchecked(b, { method: 34, params: provingParams(recorded.number, flipped), value: 10n ** 18n })).toMatchObject({
      exitCode: 16,
    });
    expect(await b.chain.sector(MINER, recorded.number)).toBeUndefined();
  });

  test('with another seed on the chain it is refused: exit 16', async () => {
    await b.control({ fixRandomness: { ticket: recorded.ticket, seed: '00'.repeat(32) } });
    expect(await pushUnchecked(b, { method: 34, params: provingParams(recorded.number, proof), value: 10n ** 18n })).toMatchObject({
      exitCode: 16,
    });
  });

  test('the replay prover’s marked answer is refused by a chain that was not told to take it: exit 16', async () => {
    const marked = replayProof({ ...recorded, miner: MINER, number: String(recorded.number) });
    expect(await pushUnchecked(b, { method: 34, params: provingParams(recorded.number, marked), value: 10n ** 18n })).toMatchObject({
      exitCode: 16,
    });
    await expect(b.chain.sign(proveWant(recorded.number, marked), 0)).rejects.toMatchObject({ category: 'permanent', exitCode: 16 });
  });
});

describe('a verifier that gives no answer is no "no"', () => {
  test.each([
    ['not there', '/nonexistent/sealpool-prover', /cannot be started/],
    ['something else', process.execPath, /gave no answer/],
  ])('the program is %s', async (_name, path, reason) => {
    await expect(proofVerifier({ proverPath: path, acceptReplay: false })(claim)).rejects.toThrow(reason);
  });

  test('a chain that takes marked answers takes only the right ones, and asks the prover about the rest', async () => {
    const lenient = proofVerifier({ proverPath: '/nonexistent/sealpool-prover', acceptReplay: true });
    const marked = replayProof(claim);
    expect(await lenient({ ...claim, proof: marked })).toBe(true);
    expect(await lenient({ ...claim, proof: marked, seed: '00'.repeat(32) })).toBe(false);
    await expect(lenient(claim)).rejects.toThrow(/cannot be started/);
  });
});
