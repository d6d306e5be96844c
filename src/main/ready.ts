/** What every long-running command prints once it serves, and how it is asked to end. */

/** One JSON line on stdout. */
export type ReadyLine = {
  readonly ready: true;
  readonly url: string;
  readonly listening?: string;
  readonly tokenFile: string;
  /** What will not work as it is configured, and what to do. */
  readonly warning?: string;
};

/** Prints the line that says it serves. */
export function printReady(line: ReadyLine & Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/** Resolves when the process is asked to end: SIGTERM, SIGINT, or its supervisor is gone. */
export function askedToEnd(): Promise<string> {
  return new Promise((resolve) => {
    process.once('SIGTERM', () => resolve('SIGTERM'));
    process.once('SIGINT', () => resolve('SIGINT'));
    process.once('disconnect', () => resolve('its supervisor is gone'));
  });
}
