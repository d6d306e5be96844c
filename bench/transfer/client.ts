/** One transfer in a process of its own, as an agent does it: what to do comes as JSON on stdin, what it took goes out as JSON. */
import { readFileSync } from 'node:fs';
import { download } from '../../src/runners/download.ts';
import { upload } from '../../src/runners/upload.ts';
import type { InputFile, OutputSlot } from '../../src/schema/runner.ts';

/** `up`: sends the file at `path`; `down`: makes it. */
export type Task =
  | { readonly kind: 'up'; readonly slot: OutputSlot; readonly path: string; readonly sizeBytes: number }
  | { readonly kind: 'down'; readonly input: InputFile; readonly path: string };

/** Seconds and CPU seconds of the transfer alone, memory of the process at most, and for `up` what is to be reported. */
export type Took = {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly peakBytes: number;
  readonly uploaded?: Awaited<ReturnType<typeof upload>>;
};

const options = { signal: new AbortController().signal, patienceMs: 120_000 };

async function transfer(task: Task): Promise<Took> {
  const started = process.cpuUsage();
  const began = performance.now();
  const uploaded = task.kind === 'up' ? await upload(task.slot, task, options) : await download(task.input, task.path, options);
  const seconds = (performance.now() - began) / 1000;
  const { user, system } = process.cpuUsage(started);
  const peakBytes = process.resourceUsage().maxRSS * 1024;
  return { seconds, cpuSeconds: (user + system) / 1e6, peakBytes, ...(uploaded === undefined ? {} : { uploaded }) };
}

process.stdout.write(JSON.stringify(await transfer(JSON.parse(readFileSync(0, 'utf8')) as Task)));
