/** Sends one delivery: signed, bounded in time and size, never redirected. What comes of it is an outcome, not an error. */
import { Webhook } from 'standardwebhooks';
import { Agent, type Dispatcher, request } from 'undici';
import type { DeliveryRow, WebhookRow } from '../scheduler/webhook-rows.ts';
import { AddressRefused, type GuardOptions, guardedConnector, systemResolve } from './connect.ts';

/** One try's limits. */
export type SendLimits = {
  /** Until the connection stands. Default 5,000. */
  readonly connectMs?: number;
  /** From the beginning until the answer is read. Default 15,000. */
  readonly totalMs?: number;
  /** Bytes of the answer's body that are read before it is cut. Default 64 KiB. */
  readonly maxBodyBytes?: number;
};

export type SenderOptions = SendLimits & Omit<GuardOptions, 'connectMs'> & { readonly now: () => number };

/** What is sent and whereto. */
export type Sendable = {
  readonly delivery: Pick<DeliveryRow, 'message'>;
  readonly webhook: Pick<WebhookRow, 'url' | 'secret' | 'allowPrivate'>;
  readonly body: string;
};

/** `status`: of the receiver; null: it did not answer, and `error` says why. */
export type SendOutcome = { readonly status: number | null; readonly error: string | null };

export type Sender = {
  /** `abort`: the process ends. */
  send(parcel: Sendable, abort?: AbortSignal): Promise<SendOutcome>;
  close(): Promise<void>;
};

/** A sender with connections of its own; those of endpoints that allow private addresses are kept apart. */
export function openSender(options: SenderOptions): Sender {
  const { connectMs = 5_000, totalMs = 15_000, maxBodyBytes = 65_536 } = options;
  const limits = { connections: null, headersTimeout: totalMs, bodyTimeout: totalMs, maxHeaderSize: 16_384 } as const;
  const guarded = new Agent({ ...limits, connect: guardedConnector({ ...options, connectMs }) });
  const open = new Agent({
    ...limits,
    connect: guardedConnector({ resolve: systemResolve(), ...options, connectMs, refused: () => false }),
  });
  return {
    async send({ delivery, webhook, body }, abort) {
      const clock = new AbortController();
      const timer = setTimeout(() => clock.abort(), totalMs);
      const signal = abort === undefined ? clock.signal : AbortSignal.any([clock.signal, abort]);
      try {
        const url = new URL(webhook.url);
        if (url.protocol !== 'https:' && !(webhook.allowPrivate && url.protocol === 'http:'))
          return { status: null, error: 'the URL is not https; change it, or let an admin allow private addresses for this webhook' };
        const answer = await request(url, {
          method: 'POST',
          headers: signed(delivery.message, webhook.secret, body, options.now()),
          body,
          signal,
          dispatcher: webhook.allowPrivate ? open : guarded,
        });
        await readAtMost(answer.body, maxBodyBytes);
        return { status: answer.statusCode, error: null };
      } catch (error) {
        return { status: null, error: clock.signal.aborted ? `the receiver took longer than ${totalMs} ms` : why(error) };
      } finally {
        clearTimeout(timer);
      }
    },
    async close() {
      await Promise.all([guarded.destroy(), open.destroy()]);
    },
  };
}

function signed(id: string, secret: string, body: string, nowMs: number): Record<string, string> {
  const at = new Date(nowMs);
  return {
    'content-type': 'application/json',
    'user-agent': 'Sealpool-Webhooks/1',
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
    'webhook-signature': new Webhook(secret).sign(id, at, body),
  };
}

/** The status has been answered and counts; the body is read only so that the connection can be used again. */
async function readAtMost(body: Dispatcher.ResponseData['body'], most: number): Promise<void> {
  let bytes = 0;
  try {
    for await (const chunk of body) {
      bytes += (chunk as Buffer).length;
      // Leaving the loop ends the connection.
      if (bytes > most) break;
    }
  } catch {
    // It broke off or took too long: the status stands.
  }
}

/** In a sentence without the URL, which may have a secret in it. */
function why(error: unknown): string {
  const failed = (error as { errors?: unknown[] } | null)?.errors?.[0] ?? error;
  if (failed instanceof AddressRefused) return failed.message;
  const { code, name } = (failed ?? {}) as { code?: string; name?: string };
  return `the receiver could not be reached (${code ?? name ?? 'unknown'})`;
}
