/**
 * The S3 adapter against real servers: the port's suite. SeaweedFS is always there; versitygw where scripts/go-programs.sh has built
 * it, as `make soak` does, which runs more of the suites on it.
 */
import { describe, vi } from 'vitest';
import { s3Conformance } from './s3-conformance.ts';
import { HAS_SEAWEEDFS, HAS_VERSITYGW, SERVER_HOOK_MS, startSeaweedfs, startVersitygw } from './s3-servers.ts';

vi.setConfig({ testTimeout: 90_000, hookTimeout: SERVER_HOOK_MS });

describe.runIf(HAS_SEAWEEDFS)('SeaweedFS', () => s3Conformance('SeaweedFS', startSeaweedfs));
describe.runIf(HAS_VERSITYGW)('versitygw', () => s3Conformance('versitygw', startVersitygw));
