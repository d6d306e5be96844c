import type { Logger } from 'pino';
import type { Door } from '../api/door.ts';
import type { LotusChain } from '../chain/lotus-chain.ts';
import type { LocalObjects } from '../objects/local.ts';
import { sleep } from './machine.ts';
export async function runEffects(parts: { door: Door; chain: LotusChain; objects: LocalObjects; log: Logger; ending: AbortSignal }): Promise<void> { await sleep(2 ** 31 - 1, parts.ending); }
