/** The wall clock of a process that a test sets: libfaketime, preloaded. Timers (the monotonic clock) run as ever. */
import { existsSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const LIBRARIES = '/usr/lib';

function library(): string | undefined {
  if (!existsSync(LIBRARIES)) return undefined;
  const paths = readdirSync(LIBRARIES).map((folder) => join(LIBRARIES, folder, 'faketime/libfaketimeMT.so.1'));
  return paths.find((path) => existsSync(path));
}

const preload = library();
export const hasFaketime = preload !== undefined;
if (!hasFaketime) console.warn('libfaketime is not installed: no clock jumps');

export class JumpingClock {
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
    this.set(0);
  }

  /** For the processes whose clock this is. */
  get environment(): Record<string, string> {
    return {
      LD_PRELOAD: preload ?? '',
      FAKETIME_TIMESTAMP_FILE: this.#file,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      NO_FAKE_STAT: '1',
    };
  }

  /** From now on it is so many seconds ahead of the real time, or behind it. */
  set(offsetSeconds: number): void {
    writeFileSync(`${this.#file}.new`, `${offsetSeconds < 0 ? '' : '+'}${offsetSeconds}\n`);
    renameSync(`${this.#file}.new`, this.#file);
  }
}
