/** The two repair stories of an expired ticket with real proofs: two C2. */
import { onTestFinished, test } from 'vitest';
import { freshTicket, givenUp } from '../e2e/ticket-stories.ts';
import { REAL_PROVER } from '../replay-prover/replay-prover.ts';

const REAL = { prover: REAL_PROVER, acceptReplay: false };
const WITHIN_MS = 15 * 60_000;

test('given up, the thread takes the next sector', async () => {
  const deployment = await givenUp(REAL, WITHIN_MS);
  onTestFinished(() => deployment.end());
});

test('resumed at TreeDBuilt, the sector finishes with a fresh ticket', async () => {
  const deployment = await freshTicket(REAL, WITHIN_MS);
  onTestFinished(() => deployment.end());
});
