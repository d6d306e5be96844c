/** What it takes to start any S3 server of one's own: ports, and a bucket as soon as it serves. */
import { type AddressInfo, createServer } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { CreateBucketCommand, type S3Client } from '@aws-sdk/client-s3';

const ASK_AGAIN_MS = 50;

/** Makes the bucket as soon as the server takes it. Throws what the server last said once it `ended`, or after `withinMs`. */
export async function makeBucket(client: S3Client, bucket: string, ended: () => boolean, withinMs: number): Promise<void> {
  for (const limit = Date.now() + withinMs; ;) {
    try {
      await client.send(new CreateBucketCommand({ Bucket: bucket }));
      return;
    } catch (error) {
      if (['BucketAlreadyOwnedByYou', 'BucketAlreadyExists'].includes((error as Error).name)) return;
      if (ended() || Date.now() > limit) throw error;
      await pause(ASK_AGAIN_MS);
    }
  }
}

/** Different loopback ports that nobody listens on. */
export async function freePorts(count: number): Promise<number[]> {
  const held = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
      return server;
    }),
  );
  const ports = held.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(held.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
