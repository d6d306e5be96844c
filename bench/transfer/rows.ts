/** What was measured, row by row, and the table of it: of several rounds the median, and between which values it was. */
import { cpus, loadavg } from 'node:os';
import type { Took } from './client.ts';
import type { Timed } from './timed.ts';

type Round = { readonly took: Timed; readonly inside: Took | undefined };

const HEAD = ['| what | MB/s | between | without its start | CPU s/GiB | without its start | memory |', '|---|---|---|---|---|---|---|'];

export class Rows {
  readonly #sizeBytes: number;
  readonly #rounds = new Map<string, Round[]>();
  readonly #loads: number[] = [];

  /** `sizeBytes`: what every row moves. */
  constructor(sizeBytes: number) {
    this.#sizeBytes = sizeBytes;
  }

  /** One round of the row `what`; `inside` is what our client says of itself. */
  add(what: string, took: Timed, inside?: Took): void {
    const rounds = this.#rounds.get(what) ?? [];
    this.#rounds.set(what, [...rounds, { took, inside }]);
    const [load = 0] = loadavg();
    this.#loads.push(load);
    const speed = this.#mbPerS(took.seconds).toFixed(0);
    process.stderr.write(`${what}: ${speed} MB/s, ${this.#perGib(took.cpuSeconds).toFixed(2)} CPU s/GiB, load ${load.toFixed(1)}\n`);
  }

  /** A table in Markdown below a line that says where and how it was measured. */
  table(how: string): string {
    const loads = `load ${Math.min(...this.#loads).toFixed(1)} to ${Math.max(...this.#loads).toFixed(1)}`;
    const rows = [...this.#rounds].map(([what, rounds]) => this.#row(what, rounds));
    return [`${how}; ${cpus().length} × ${cpus()[0]?.model}, Node ${process.version}, ${loads}`, '', ...HEAD, ...rows, ''].join('\n');
  }

  #row(what: string, rounds: readonly Round[]): string {
    const speeds = rounds.map(({ took }) => this.#mbPerS(took.seconds));
    const insides = rounds.flatMap(({ inside }) => (inside === undefined ? [] : [inside]));
    const cells = [
      what,
      median(speeds).toFixed(0),
      rounds.length === 1 ? '' : `${Math.min(...speeds).toFixed(0)} to ${Math.max(...speeds).toFixed(0)}`,
      insides.length === 0 ? '' : median(insides.map(({ seconds }) => this.#mbPerS(seconds))).toFixed(0),
      median(rounds.map(({ took }) => this.#perGib(took.cpuSeconds))).toFixed(2),
      insides.length === 0 ? '' : median(insides.map(({ cpuSeconds }) => this.#perGib(cpuSeconds))).toFixed(2),
      insides.length === 0 ? '' : `${(Math.max(...insides.map(({ peakBytes }) => peakBytes)) / 2 ** 20).toFixed(0)} MiB`,
    ];
    return `| ${cells.join(' | ')} |`;
  }

  #mbPerS(seconds: number): number {
    return this.#sizeBytes / 1e6 / seconds;
  }

  #perGib(cpuSeconds: number): number {
    return (cpuSeconds / this.#sizeBytes) * 2 ** 30;
  }
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return ((sorted[Math.floor(middle)] ?? NaN) + (sorted[Math.ceil(middle)] ?? NaN)) / 2;
}
