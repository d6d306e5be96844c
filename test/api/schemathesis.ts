/** Runs schemathesis with all its checks against a control plane of its own, with one caller's token. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { listen } from '../../src/main/http-server.ts';
import { ApiWorld, OURS } from './api-world.ts';

const CACHE = process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache');
const PROGRAM = join(CACHE, 'sealpool/python/bin/schemathesis');
const CONFIG = join(import.meta.dirname, 'schemathesis.toml');

export const HAS_SCHEMATHESIS = existsSync(PROGRAM);

/** Who asks. */
export const FUZZERS = ['admin', 'operator', 'viewer', 'operator of one miner'] as const;
export type Fuzzer = (typeof FUZZERS)[number];

function tokenOf(world: ApiWorld, who: Fuzzer): Promise<string> {
  return who === 'operator of one miner' ? world.token('operator', [OURS]) : world.token(who);
}

/** Exit code and report of a run. The world has sectors and a runner, and an admin token that the fuzzer does not know. */
export async function fuzz(who: Fuzzer, examples: number, seed: number): Promise<{ code: number | null; report: string; cases: number }> {
  const world = await ApiWorld.open();
  const folder = mkdtempSync(join(tmpdir(), 'sealpool-fuzz-'));
  const server = await listen(world.app.fetch, '127.0.0.1', 0);
  try {
    await world.pledge(OURS, 3);
    await world.runner();
    // In a file and not an argument, which everybody on the machine may read.
    const config = join(folder, 'schemathesis.toml');
    const headers = `headers = { Authorization = "Bearer ${await tokenOf(world, who)}" }\n`;
    writeFileSync(config, headers + readFileSync(CONFIG, 'utf8'), { mode: 0o600 });
    const args = ['--config-file', config, 'run', `http://127.0.0.1:${server.port}/openapi.json`];
    args.push('--max-examples', String(examples), '--seed', String(seed), '--no-shrink', '--request-timeout', '10', '--checks', 'all');
    const child = spawn(PROGRAM, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
    let report = '';
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (report += text));
    const code = await new Promise<number | null>((resolve, reject) => child.once('error', reject).once('close', resolve));
    // Without its token everything is a 401, which no check minds.
    const knew = world.log.some((line) => line.includes('"path":"/v1/plans","status":200'));
    if (!knew) throw new Error(`the token of ${who} did not reach the API:\n${report}`);
    return { code, report, cases: Number(/(\d+) generated/.exec(report)?.[1] ?? 0) };
  } finally {
    world.ending.abort();
    await server.close(0);
    world.close();
    rmSync(folder, { recursive: true, force: true });
  }
}
