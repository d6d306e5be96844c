/** A host that has nothing but what is named, and an empty home: for runner.sh, as `curl … | sh` runs it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { bundleAgent } from '../../scripts/bundle-agent.ts';
import { REAL_PROVER } from '../replay-prover/replay-prover.ts';

/** What every Linux has. */
const BASE = ['uname', 'mkdir', 'rm', 'mv', 'chmod', 'chown', 'sleep', 'sed', 'env', 'id'];

/** The path of a program of this machine. */
export function programPath(name: string): string | undefined {
  if (name === 'node') return process.execPath;
  const found = (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, name));
  return found.find((path) => {
    try {
      return readFileSync(path).length > 0;
    } catch {
      return false;
    }
  });
}

export class BareHost {
  readonly home: string;
  readonly bin: string;
  output = '';
  #child: ChildProcess | undefined;
  #ended: Promise<number | string | null> = Promise.resolve(null);

  /** With the programs of these names, besides those that every Linux has. */
  constructor(folder: string, programs: readonly string[]) {
    this.home = join(folder, 'home');
    this.bin = join(folder, 'bin');
    for (const path of [this.home, this.bin]) mkdirSync(path, { recursive: true });
    for (const name of [...BASE, ...programs]) {
      const path = programPath(name);
      if (path === undefined) throw new Error(`${name} is not on this machine; install it`);
      symlinkSync(path, join(this.bin, name));
    }
  }

  /** A program of the host that is a script. */
  program(name: string, script: string): void {
    writeFileSync(join(this.bin, name), `#!/bin/sh\n${script}\n`);
    chmodSync(join(this.bin, name), 0o755);
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Gives the script to sh, with these variables and no other. */
  run(script: string, variables: Readonly<Record<string, string>>): void {
    const child = spawn('/bin/sh', ['-s'], { cwd: this.home, env: { PATH: this.bin, HOME: this.home, ...variables } });
    this.#child = child;
    child.stdin.on('error', () => undefined);
    child.stdin.end(script);
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (this.output += text));
    this.#ended = new Promise((resolve) => child.once('close', (code, signal) => resolve(code ?? signal)));
  }

  /** Its exit code, once it has ended by itself. */
  ended(): Promise<number | string | null> {
    return this.#ended;
  }

  async end(signal: NodeJS.Signals): Promise<number | string | null> {
    this.#child?.kill(signal);
    return this.#ended;
  }
}

/** What a control plane hands out in a test: the real agent, and the real prover behind a script that tells of its version and waits while `hold` is there. */
export class HandedOut {
  readonly agent: string;
  readonly prover: string;
  readonly hold: string;
  /** What the last stage saw of variables. */
  readonly environment: string;
  readonly #ran: string;

  constructor(folder: string) {
    mkdirSync(folder, { recursive: true });
    this.agent = join(folder, 'agent.mjs');
    this.prover = join(folder, 'prover');
    this.hold = join(folder, 'hold');
    this.environment = join(folder, 'environment');
    this.#ran = join(folder, 'ran');
    writeFileSync(this.#ran, '');
  }

  /** Agent and prover of this version. */
  async write(version: string): Promise<void> {
    bundled ??= bundleAgent();
    const text = await bundled;
    const versioned = text.replace(/AGENT_VERSION = "[^"]*"/, `AGENT_VERSION = "${version}"`);
    if (!versioned.includes(`AGENT_VERSION = "${version}"`))
      throw new Error('the bundle does not name its version as it did; look for AGENT_VERSION');
    writeFileSync(this.agent, versioned);
    const waits = `echo ${version} >>'${this.#ran}'\nenv >'${this.environment}'\nwhile [ -e '${this.hold}' ]; do sleep 0.05; done\n`;
    writeFileSync(this.prover, `#!/bin/sh\n[ "$1" != run ] || {\n${waits}}\nexec '${REAL_PROVER}' "$@"\n`);
    chmodSync(this.prover, 0o755);
  }

  /** Versions of the prover, in the order in which stages ran them. */
  get ran(): string[] {
    return readFileSync(this.#ran, 'utf8')
      .split('\n')
      .filter((line) => line !== '');
  }

  get settings(): Record<string, string> {
    return { SEALPOOL_AGENT: this.agent, SEALPOOL_PROVER: this.prover };
  }
}

let bundled: Promise<string> | undefined;
