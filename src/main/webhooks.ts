/** Deliveries to webhooks, from the control plane's start to its end. */
import type { Logger } from 'pino';
import type { Door } from '../api/door.ts';
import type { Clock } from '../scheduler/ports.ts';
import { deliveryTried, deliveryTurn, dropOldDeliveries } from '../scheduler/deliveries.ts';
import { deliver } from '../webhooks/deliverer.ts';
import { openSender, type SendOutcome } from '../webhooks/send.ts';
import { sleep } from './machine.ts';

/** How the metrics count a try: by the class of its status, or `none` without an answer. */
export function triedAs({ status }: SendOutcome): string {
  return status === null ? 'none' : `${Math.floor(status / 100)}xx`;
}

/** Delivers until `ending`; tries under way are broken off then and are made again by the next process. */
export async function callBack(
  door: Door,
  clock: Clock,
  log: Logger,
  metrics: { webhookTry(outcome: string): void },
  ending: AbortSignal,
): Promise<void> {
  const sender = openSender({ now: () => clock.now() });
  const counted = {
    ...sender,
    async send(...given: Parameters<typeof sender.send>) {
      const outcome = await sender.send(...given);
      metrics.webhookTry(triedAs(outcome));
      return outcome;
    },
  };
  const onError = (error: unknown): void => log.error({ err: error }, 'a delivery to a webhook could not be recorded');
  try {
    await deliver({ door, engine: { deliveryTurn, deliveryTried, dropOldDeliveries }, sender: counted, sleep, onError, ending });
  } finally {
    await sender.close();
  }
}
