/** `--verbose`: a request as the curl command that does the same, for any POSIX shell. */
import type { Sent } from '../api/client.ts';

const quoted = (value: string): string => `'${value.replaceAll("'", "'\\''")}'`;

/** The token stays in the variable $SEALPOOL_TOKEN. `file`: what raw bytes are read from. */
export function asCurl({ method, url, headers, body, raw }: Sent, file = 'FILE'): string {
  const streams = headers['accept'] === 'text/event-stream';
  return [
    'curl',
    ...(streams ? ['-N'] : []),
    `-X ${method}`,
    '-H "Authorization: Bearer $SEALPOOL_TOKEN"',
    ...Object.entries(headers).map(([name, value]) => `-H ${quoted(`${name}: ${value}`)}`),
    ...(body === undefined ? [] : [`-d ${quoted(JSON.stringify(body))}`]),
    // Read as it is sent, however large it is.
    ...(raw ? [`-T ${quoted(file)}`] : []),
    quoted(url),
  ].join(' ');
}
