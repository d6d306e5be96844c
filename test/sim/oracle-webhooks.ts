/** What must hold of webhooks: every event that the history has was posted, each under one id of its own, the same bytes each time. */
import type { FakeReceiver } from './fake-receiver.ts';
import type { Reader } from './reader.ts';

type Broken = (promise: string, what: string) => void;

/** Under an id nothing else ever comes than what came first: whoever takes each id once misses nothing. */
export function sameEachTime(receiver: FakeReceiver, broken: Broken): void {
  for (const [message, bodies] of receiver.taken) {
    if (new Set(bodies).size > 1) broken('webhooks', `${message} was posted with ${new Set(bodies).size} different bodies`);
  }
}

/** When all rests: the receiver has every event since the webhook was made. */
export function allPosted(receiver: FakeReceiver, reader: Reader, since: number, broken: Broken): void {
  sameEachTime(receiver, broken);
  for (const { seq, kind, job } of reader.events(since)) {
    const event = receiver.event(`ev-${seq}`);
    if (event === undefined) broken('webhooks', `event ${seq} (${kind} of ${job}) was never posted`);
    else if (event.kind !== kind || event.job !== job)
      broken('webhooks', `ev-${seq} told of ${event.kind} of ${event.job}, it is ${kind} of ${job}`);
  }
}
