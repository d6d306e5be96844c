/** The stream of an attached container: frames of stdout and stderr, each behind a header of eight bytes. */

const HEADER_BYTES = 8;
const STDOUT = 1;
const STDERR = 2;

/** Takes the stream's bytes as they come; calls `onStdout` and `onStderr` with what belongs to each. */
export function demultiplexer(onStdout: (bytes: Buffer) => void, onStderr: (bytes: Buffer) => void): (bytes: Buffer) => void {
  let header = Buffer.alloc(0);
  let left = 0;
  let to: (bytes: Buffer) => void = onStdout;
  return (bytes) => {
    let at = 0;
    while (at < bytes.length) {
      if (left === 0) {
        const taken = Math.min(HEADER_BYTES - header.length, bytes.length - at);
        header = Buffer.concat([header, bytes.subarray(at, at + taken)]);
        at += taken;
        if (header.length < HEADER_BYTES) return;
        to = header[0] === STDOUT ? onStdout : header[0] === STDERR ? onStderr : () => undefined;
        left = header.readUInt32BE(4);
        header = Buffer.alloc(0);
        continue;
      }
      const taken = Math.min(left, bytes.length - at);
      to(bytes.subarray(at, at + taken));
      left -= taken;
      at += taken;
    }
  };
}
