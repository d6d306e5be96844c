/** The log: JSON lines on stderr. Secrets and the queries of signed URLs never reach it, whatever is logged. */
import { type Logger, pino } from 'pino';
import { redacted } from '../schema/redacted.ts';
import type { Config } from './config.ts';

/** A logger that writes to stderr, or to `write` in tests. */
export function openLog(level: Config['log_level'], write: (line: string) => void = (line) => process.stderr.write(line)): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: {
        paths: ['token', 'credential', 'secret', '*.token', '*.credential', '*.secret', '*.authorization', '*.headers.authorization'],
        censor: '[secret]',
      },
    },
    { write: (line) => write(redacted(line)) },
  );
}
