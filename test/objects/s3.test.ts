/** The S3 adapter against a real SeaweedFS: the port's suite. Against versitygw it runs in `make soak`. */
import { describe, vi } from 'vitest';
import { s3Conformance } from './s3-conformance.ts';
import { HAS_SEAWEEDFS, SERVER_HOOK_MS, startSeaweedfs } from './s3-servers.ts';

vi.setConfig({ testTimeout: 90_000, hookTimeout: SERVER_HOOK_MS });

describe.runIf(HAS_SEAWEEDFS)('SeaweedFS', () => s3Conformance('SeaweedFS', startSeaweedfs));
