/** Runs a program and says what it took, its children included: `time` of bash. */
import { spawn } from 'node:child_process';

export type Timed = { readonly seconds: number; readonly cpuSeconds: number; readonly stdout: string };

/** Without what the machine sets for clients of another S3. */
function environment(): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('AWS_')));
}

/** Throws with what the program said when it ends with anything but 0. */
export async function timed(command: readonly string[], more: { stdin?: string; env?: Record<string, string> } = {}): Promise<Timed> {
  const child = spawn('bash', ['-c', 'TIMEFORMAT="%3R %3U %3S"; time "$@"', 'time', ...command], {
    env: { ...environment(), ...more.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  child.stdin.end(more.stdin ?? '');
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (text: Buffer) => (stdout += text.toString()));
  child.stderr.on('data', (text: Buffer) => (stderr += text.toString()));
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  if (code !== 0) throw new Error(`${command[0]} ended with ${code}: ${stderr.slice(-2_000)}`);
  const [real, user, system] = (stderr.trim().split('\n').at(-1) ?? '').split(' ').map(Number);
  if (real === undefined || user === undefined || system === undefined || Number.isNaN(system)) throw new Error(`no times in: ${stderr}`);
  return { seconds: real, cpuSeconds: user + system, stdout };
}
