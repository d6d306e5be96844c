/** The log: JSON lines on stderr. Secrets and the queries of signed URLs never reach it, whatever is logged. */
import { type Logger, pino } from 'pino';
import type { Config } from './config.ts';

const SECRET = /sp-(api|run|join)-[0-9a-f]+/g;
const BEARER = /(Bearer )[\x21-\x7e]+?(?=["\\\s]|$)/gi;
const SIGNED_QUERY = /(https?:\/\/[^\s"'?\\]+)\?[^\s"'\\]+/g;

/** The text without secrets and without URLs' queries. */
export function redacted(line: string): string {
  return line.replaceAll(SECRET, 'sp-$1-[secret]').replaceAll(BEARER, '$1[secret]').replaceAll(SIGNED_QUERY, '$1?[query]');
}

/** A logger that writes to stderr, or to `write` in tests. */
export function openLog(level: Config['log_level'], write: (line: string) => void = (line) => process.stderr.write(line)): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: { paths: ['token', 'credential', '*.token', '*.credential', '*.authorization'], censor: '[secret]' },
    },
    { write: (line) => write(redacted(line)) },
  );
}
