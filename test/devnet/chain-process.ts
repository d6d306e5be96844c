/** A dev chain in a process of its own: `node chain-process.ts '<options as JSON>'`, to be killed by tests. */
import { runDevnet } from '../../src/devnet/run-devnet.ts';

const devnet = await runDevnet(JSON.parse(process.argv[2] ?? '{}'));
console.log(JSON.stringify({ ready: true, url: devnet.url, tokenFile: devnet.tokenFile }));
