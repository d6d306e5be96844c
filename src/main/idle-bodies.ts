/** Gives up senders of bodies that say nothing more. What they began is held until it is whole, and a host that vanished ends no connection. */
import type { IncomingMessage, ServerResponse } from 'node:http';

/** Longer than any network stands still that comes back. */
export const BODY_IDLE_MS = 60_000;

const SENTENCE = 'nothing more of the body came and nothing of it was kept; send it again, without a pause\n';
const ANSWER = [
  'HTTP/1.1 408 Request Timeout',
  'connection: close',
  'content-type: text/plain',
  `content-length: ${SENTENCE.length}`,
  '',
  SENTENCE,
].join('\r\n');

/**
 * Listens to requests: one whose body brings no byte for `idleMs` gets 408, and its connection ends. Time in which we do not read on
 * is ours, and so is what passes between a whole body and its answer, or while an answer goes out.
 */
export function giveUpIdle(idleMs: number): (request: IncomingMessage, answer: ServerResponse) => void {
  return (request, answer) => {
    const { headers, socket } = request;
    const onQuiet = (): void => {
      if (socket.destroyed || request.complete || answer.headersSent) return;
      if (request.readableLength >= request.readableHighWaterMark) {
        socket.setTimeout(idleMs);
        return;
      }
      // One that was sent behind another request has no say on the connection yet.
      if (answer.socket === socket) socket.write(ANSWER);
      socket.destroy();
    };
    // Node ends a quiet connection itself where nobody listens: also one that waits for its answer.
    request.on('timeout', onQuiet);
    answer.on('timeout', onQuiet);
    if (headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0) socket.setTimeout(idleMs);
  };
}
