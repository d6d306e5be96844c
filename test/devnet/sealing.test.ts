/** One sector through the dev chain by way of the Lotus client: pre-commit, seed, prove-commit. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Bench, bench, MINER, preCommitted, preCommitWant, proveWant, send } from './harness.ts';
import { commitmentCid } from '../../src/chain/cids.ts';
import { COMM_R } from './harness.ts';

let b: Bench;
beforeEach(async () => {
  b = await bench();
});
afterEach(() => b.end());

test('a sector lands: pre-commit, seed after the delay, prove-commit', async () => {
  const ticket = await b.chain.ticket(MINER);
  const { epoch: start } = await b.chain.head();
  expect(ticket.epoch).toBe(start - 900);
  const cid = await send(b, preCommitWant(7, ticket.epoch));
  expect(await b.chain.message(cid, { number: 7 })).toEqual({ state: 'pending' });
  expect(await b.chain.preCommit(MINER, 7)).toBeUndefined();

  await b.control({ advance: 2 });
  expect(await b.chain.message(cid, { number: 7 })).toEqual({
    state: 'landed',
    // The tipset that executed it, one after the one that has it: in whose epoch the pre-commit is.
    epoch: start + 2,
    confidence: 0,
    exitCode: 0,
    sectorOk: true,
    detail: '',
  });
  expect(await b.chain.preCommit(MINER, 7)).toEqual({
    commR: commitmentCid('sealed', COMM_R).toString(),
    epoch: start + 1,
    commD: null,
    ticketEpoch: ticket.epoch,
    sealProof: 5,
  });
  expect(await b.chain.allocated(MINER, [6, 7, 8])).toEqual([7]);
  expect(await b.chain.seed(MINER, 7)).toEqual({ waitEpochs: 15 });

  await b.control({ advance: 14 });
  expect(await b.chain.seed(MINER, 7)).toEqual({ waitEpochs: 1 });
  await b.control({ advance: 2 });
  expect(await b.chain.seed(MINER, 7)).toMatchObject({ epoch: start + 11, value: expect.stringMatching(/^[0-9a-f]{64}$/) });
});

test('the right proof activates the sector', async () => {
  const { proof } = await preCommitted(b, 7);
  const cid = await send(b, proveWant(7, proof));
  const { epoch } = await b.control({ advance: 2 });
  expect(await b.chain.message(cid, { number: 7 })).toMatchObject({ state: 'landed', exitCode: 0, sectorOk: true });
  expect(await b.chain.sector(MINER, 7)).toEqual({
    sealProof: 5,
    commR: commitmentCid('sealed', COMM_R).toString(),
    keyCommR: null,
    activationEpoch: epoch - 1,
    expirationEpoch: expect.any(Number),
    deadline: expect.any(Number),
    partition: 0,
    proven: false,
  });
  expect(await b.chain.preCommit(MINER, 7)).toBeUndefined();
  const lines = await b.messages();
  expect(lines.map(({ method, nonce, state, exitCode }) => ({ method, nonce, state, exitCode }))).toEqual([
    { method: 28, nonce: 0, state: 'landed', exitCode: 0 },
    { method: 34, nonce: 1, state: 'landed', exitCode: 0 },
  ]);
});
