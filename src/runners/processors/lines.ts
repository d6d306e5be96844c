/** What a processor writes: lines of JSON, long ones among them (a proof's input has tens of megabytes, its answer less). */

/** More than any answer has; a processor that writes a longer line is broken. */
export const MAX_LINE_BYTES = 64 * 2 ** 20;

/** Cuts bytes into lines. `onTooLong` is called once when a line has no end; nothing comes after it. */
export function byteLines(onLine: (line: string) => void, onTooLong: () => void): (bytes: Buffer) => void {
  let parts: Buffer[] = [];
  let sizeBytes = 0;
  let broken = false;
  return (bytes) => {
    let from = 0;
    while (!broken) {
      const end = bytes.indexOf(0x0a, from);
      const part = bytes.subarray(from, end < 0 ? undefined : end);
      sizeBytes += part.length;
      if (sizeBytes > MAX_LINE_BYTES) {
        broken = true;
        parts = [];
        onTooLong();
        return;
      }
      parts.push(part);
      if (end < 0) return;
      const line = Buffer.concat(parts).toString('utf8');
      [parts, sizeBytes, from] = [[], 0, end + 1];
      onLine(line);
    }
  };
}
