/** The S3 adapter against versitygw, which is built with Go (scripts/go-programs.sh): the port's suite. */
import { describe, vi } from 'vitest';
import { s3Conformance } from '../objects/s3-conformance.ts';
import { HAS_VERSITYGW, SERVER_HOOK_MS, startVersitygw } from '../objects/s3-servers.ts';

vi.setConfig({ testTimeout: 90_000, hookTimeout: SERVER_HOOK_MS });

describe.runIf(HAS_VERSITYGW)('versitygw', () => s3Conformance('versitygw', startVersitygw));
