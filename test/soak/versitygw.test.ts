/** versitygw, which `make soak` builds first (scripts/go-programs.sh): the port's suite, broken connections, and the agent's transfers. */
import { describe, vi } from 'vitest';
import { s3Conformance } from '../objects/s3-conformance.ts';
import { s3Faults } from '../objects/s3-faults.ts';
import { HAS_VERSITYGW, SERVER_HOOK_MS, startVersitygw } from '../objects/s3-servers.ts';
import { s3Backend, transfers } from '../runners/transfers.ts';

vi.setConfig({ testTimeout: 90_000, hookTimeout: SERVER_HOOK_MS });

describe.runIf(HAS_VERSITYGW)('versitygw', () => {
  s3Conformance('versitygw', startVersitygw);
  s3Faults('versitygw', startVersitygw);
  transfers('versitygw', () => s3Backend(startVersitygw, 2));
});
