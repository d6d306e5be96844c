/** An object store behind a gate: every part that is sent waits until it is opened. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import type { Grant } from '../../src/schema/runner.ts';
import type { TestControlPlane } from './control-plane.ts';

/** A gate before the plane's store; `through` leads a grant's uploads by it. */
export async function heldStore(plane: TestControlPlane): Promise<{ held(): number; open(): void; through(grant: Grant): Grant }> {
  let held = 0;
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const chunk of request) parts.push(chunk as Buffer);
    held += 1;
    await opened;
    const sum = request.headers['x-amz-checksum-crc32'] as string;
    const put = { method: 'PUT', body: Buffer.concat(parts), headers: { 'x-amz-checksum-crc32': sum } };
    const answer = await fetch(plane.url + request.url, put).catch(() => undefined);
    // The test has ended meanwhile.
    if (answer === undefined) return void response.destroy();
    response.writeHead(answer.status, { etag: answer.headers.get('etag') ?? '' }).end(await answer.text());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    open();
    server.closeAllConnections();
    server.close();
  });
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const behind = (url: string): string => origin + new URL(url).pathname + new URL(url).search;
  return {
    held: () => held,
    open,
    through: (grant) => ({ ...grant, outputs: grant.outputs.map((slot) => ({ ...slot, partUrls: slot.partUrls.map(behind) })) }),
  };
}
