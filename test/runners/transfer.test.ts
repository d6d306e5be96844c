/** The agent's transfers over SeaweedFS and the embedded store. Over versitygw they run in `make soak`. */
import { describe, vi } from 'vitest';
import { HAS_SEAWEEDFS, SERVER_HOOK_MS, startSeaweedfs } from '../objects/s3-servers.ts';
import { localBackend, s3Backend, transfers } from './transfers.ts';

vi.setConfig({ testTimeout: 90_000, hookTimeout: SERVER_HOOK_MS });

describe.runIf(HAS_SEAWEEDFS)('SeaweedFS', () => transfers('SeaweedFS', () => s3Backend(startSeaweedfs)));
transfers('the embedded store', localBackend);
