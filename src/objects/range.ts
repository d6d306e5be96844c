/** The one form of the Range header that downloads use (RFC 9110 §14): a single byte range. */

/** Bytes `from` to `to`, both included; `whole` without a usable header; `unsatisfiable` is answered 416. */
export type ByteRange = { readonly from: number; readonly to: number } | 'whole' | 'unsatisfiable';

/** What `header` asks of an object of `sizeBytes`. Unknown units and lists are ignored, as the RFC allows. */
export function parseRange(header: string | undefined, sizeBytes: number): ByteRange {
  const match = /^bytes=([0-9]*)-([0-9]*)$/.exec(header ?? '');
  if (!match || (match[1] === '' && match[2] === '')) return 'whole';
  const [first, last] = [match[1] as string, match[2] as string];
  if (first === '') {
    const tailBytes = Math.min(Number(last), sizeBytes);
    return tailBytes === 0 ? 'unsatisfiable' : { from: sizeBytes - tailBytes, to: sizeBytes - 1 };
  }
  const from = Number(first);
  const to = last === '' ? sizeBytes - 1 : Math.min(Number(last), sizeBytes - 1);
  if (last !== '' && Number(last) < from) return 'whole';
  return from >= sizeBytes ? 'unsatisfiable' : { from, to };
}
