/** A receiver of webhooks: keeps what it was posted, and fails as the script says. */
import type { SendOutcome, Sendable, Sender } from '../../src/webhooks/send.ts';
import type { Event } from '../../src/schema/event.ts';

/** The control plane's calls of the outside, with their faults. */
type Call = <T>(port: 'webhook.post', work: () => Promise<T>) => Promise<T>;

export class FakeReceiver {
  /** What came under each id, the bodies as they came. */
  readonly taken = new Map<string, string[]>();

  /** The port of one life of the control plane. */
  sender(call: Call): Sender {
    return {
      send: async ({ delivery, body }: Sendable): Promise<SendOutcome> => {
        try {
          return await call('webhook.post', async () => {
            this.taken.set(delivery.message, [...(this.taken.get(delivery.message) ?? []), body]);
            return { status: 204, error: null };
          });
        } catch (error) {
          return { status: null, error: (error as Error).message };
        }
      },
      close: async () => undefined,
    };
  }

  /** The event that came under this id; undefined: none did. */
  event(message: string): Event | undefined {
    const [body] = this.taken.get(message) ?? [];
    return body === undefined ? undefined : (JSON.parse(body) as { data: Event }).data;
  }
}
