/** Fetches an input by its URL: resumed by range where it broke off, cut off above its size. */
import { mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { InputFile } from '../schema/runner.ts';
import { StageFailure, errnoOf } from './failure.ts';
import { checkStatus, type TransferOptions, withRetries } from './transfer-errors.ts';

/** A connection that gives no byte for so long is broken off and resumed. */
const STALL_MS = 30_000;

/** Writes the input to `path`, which must not exist. Its hash is checked by whoever reads it. */
export async function download(input: InputFile, path: string, options: TransferOptions): Promise<void> {
  const sizeBytes = Number(input.sizeBytes);
  await mkdir(dirname(path), { recursive: true });
  const handle = await open(path, 'wx', 0o600);
  let have = 0;
  let etag: string | null = null;
  try {
    await withRetries(options, `fetching ${input.name}`, async (progress) => {
      while (have < sizeBytes) {
        const stall = new AbortController();
        const timer = setTimeout(() => stall.abort(new Error(`no byte for ${STALL_MS / 1000} s`)), STALL_MS);
        try {
          const answer = await fetch(input.url, {
            redirect: 'error',
            signal: AbortSignal.any([options.signal, stall.signal]),
            headers: have === 0 ? {} : { range: `bytes=${have}-`, ...(etag === null ? {} : { 'if-match': etag }) },
          });
          if (answer.status === 412 || answer.status === 416) throw differs(input, 'it changed or is shorter than promised');
          if (answer.status === 404 || answer.status === 410) throw missing(input, answer.status);
          await checkStatus(answer, have === 0 ? [200] : [200, 206], `fetching ${input.name}`);
          if (answer.status === 200) have = 0;
          etag = answer.headers.get('etag');
          const left = answer.headers.get('content-length');
          if (left !== null && have + Number(left) !== sizeBytes) throw differs(input, `it has ${have + Number(left)} bytes`);
          for await (const bytes of answer.body ?? []) {
            if (have + bytes.length > sizeBytes) throw differs(input, 'it is longer');
            for (let at = 0; at < bytes.length;) at += (await handle.write(bytes, at, bytes.length - at, have + at)).bytesWritten;
            have += bytes.length;
            progress();
            options.onMoved?.(bytes.length);
            timer.refresh();
          }
        } catch (error) {
          if (errnoOf(error) === 'ENOSPC' || errnoOf(error) === 'EDQUOT') {
            throw new StageFailure('out_of_disk', `the runner's work disk is full while fetching ${input.name}; free space there`);
          }
          throw error;
        } finally {
          clearTimeout(timer);
        }
      }
    });
  } finally {
    await handle.close();
  }
}

function differs(input: InputFile, how: string): StageFailure {
  return new StageFailure(
    'input_differs',
    `input ${input.name} is not the file of ${input.sizeBytes} bytes that was granted: ${how}; it has to be made again`,
    input.name,
  );
}

function missing(input: InputFile, status: number): StageFailure {
  return new StageFailure(
    'input_missing',
    `input ${input.name} is not in the object store (status ${status}); it has to be made again`,
    input.name,
  );
}
