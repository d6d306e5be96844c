/** The signed URLs that attempts get: with their grant, and anew with heartbeats that ask. */
import type { AttemptId } from '../schema/ids.ts';
import type { HeartbeatAnswer, RenewedUrls } from '../schema/runner.ts';
import { DEFAULTS } from '../scheduler/context.ts';
import type { UrlWishes } from '../scheduler/renewals.ts';
import type { ApiParts } from './parts.ts';

/** What signing URLs takes. */
export type UrlParts = Pick<ApiParts, 'settings' | 'objects' | 'log'>;

/** How long the URLs of an attempt are good for, in milliseconds. */
export function urlTtlMs({ settings }: Pick<ApiParts, 'settings'>): number {
  return settings.urlTtlMs ?? DEFAULTS.urlTtlMs;
}

/** The answer with the URLs that were asked for. What cannot be signed now is left out: it is asked for again. */
export async function withRenewed(parts: UrlParts, answer: HeartbeatAnswer, wishes: readonly UrlWishes[]): Promise<HeartbeatAnswer> {
  if (wishes.length === 0) return answer;
  const renewed = new Map<AttemptId, RenewedUrls>();
  for (const wish of wishes) {
    try {
      renewed.set(wish.attempt, await renew(parts, wish));
    } catch (error) {
      parts.log.warn({ err: error, attempt: wish.attempt }, 'new URLs for an attempt could not be signed');
    }
  }
  const attempts = answer.attempts.map((one) => {
    const urls = renewed.get(one.attempt);
    return urls === undefined ? one : { ...one, urls };
  });
  return { ...answer, attempts };
}

async function renew(parts: UrlParts, wish: UrlWishes): Promise<RenewedUrls> {
  const ttlMs = urlTtlMs(parts);
  const inputs = await Promise.all(wish.inputs.map(async ({ name, key }) => ({ name, url: await parts.objects.getUrl(key, ttlMs) })));
  const outputs = await Promise.all(
    wish.parts.map(async ({ name, upload, numbers }) =>
      (await parts.objects.partUrls(upload, numbers, ttlMs)).map(({ number, url }) => ({ name, part: number, url })),
    ),
  );
  return { inputs, parts: outputs.flat() };
}
