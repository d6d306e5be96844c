/** `node try-connect.ts HOST PORT`: prints `connected`, or why not. */
import { connect } from 'node:net';

const [host, port] = process.argv.slice(2);
const socket = connect({ host: host as string, port: Number(port) });
const say = (what: string): void => {
  process.stdout.write(what);
  socket.destroy();
};
socket.setTimeout(1_500, () => say('no answer'));
socket.once('connect', () => say('connected'));
socket.once('error', (error: NodeJS.ErrnoException) => say(error.code ?? error.message));
