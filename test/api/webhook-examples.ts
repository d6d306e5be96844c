/** The rows of the webhooks' operations, for the tests that run over all operations. */
import type { MinerId } from '../../src/schema/ids.ts';
import { type ApiWorld, OURS, THEIRS } from './api-world.ts';
import type { Case, Example } from './examples.ts';

const NONE = 'w-000000000000';
const NO_MINER = 't09999' as MinerId;
const URL = 'https://receiver.example/hook';

export function webhookExamples(world: ApiWorld): Case[] {
  const make = async (miner: MinerId): Promise<string> => {
    const { json } = await world.call('POST', '/v1/webhooks', { token: world.admin, body: { url: URL, miners: [miner] } });
    return (json as { id: string }).id;
  };
  const drop = (id: string) => world.call('DELETE', `/v1/webhooks/${id}`, { token: world.admin });
  /** About a webhook made anew; there may not be too many at a time. */
  const about = (route: string, request: (id: string) => Example | Promise<Example>, more: Partial<Case> = {}): Case => {
    let last: string | undefined;
    const of = (miner: MinerId) => async () => {
      if (last !== undefined) await drop(last);
      last = await make(miner);
      return { object: last, ...(await request(last)) };
    };
    return {
      route,
      own: of(OURS),
      foreign: of(THEIRS),
      missing: async () => ({ object: NONE, ...(await request(NONE)) }),
      ...(route.startsWith('GET') ? {} : { event: 'audit' }),
      ...more,
    };
  };
  const action = (word: string): Case =>
    about(`POST /v1/webhooks/{id}/${word}`, (id) => ({ path: `/v1/webhooks/${id}/${word}`, body: {} }));
  const disabled = async (id: string): Promise<Example> => {
    await world.call('POST', `/v1/webhooks/${id}/disable`, { token: world.admin });
    return { path: `/v1/webhooks/${id}/enable`, body: {} };
  };
  const tested = async (id: string): Promise<Example> => {
    const { json } = await world.call('POST', `/v1/webhooks/${id}/test`, { token: world.admin });
    const delivery = (json as { id?: string }).id ?? 'd-000000000000';
    return { path: `/v1/webhooks/${id}/deliveries/${id === NONE ? 'd-000000000000' : delivery}/redeliver`, body: {} };
  };
  const created = (miner: MinerId) => () => ({ path: '/v1/webhooks', object: miner, body: { url: URL, miners: [miner] } });
  const room = async (): Promise<void> => {
    const { json } = await world.call('GET', '/v1/webhooks', { token: world.admin });
    for (const { id } of (json as { items: { id: string }[] }).items) await drop(id);
  };
  const inRoom = (miner: MinerId) => async () => {
    await room();
    return created(miner)();
  };
  return [
    { route: 'POST /v1/webhooks', event: 'audit', own: inRoom(OURS), foreign: inRoom(THEIRS), missing: created(NO_MINER) },
    { route: 'GET /v1/webhooks', own: () => ({ path: '/v1/webhooks' }) },
    about('GET /v1/webhooks/{id}', (id) => ({ path: `/v1/webhooks/${id}` })),
    about('PATCH /v1/webhooks/{id}', (id) => ({ path: `/v1/webhooks/${id}`, body: { description: 'changed' } })),
    about('DELETE /v1/webhooks/{id}', (id) => ({ path: `/v1/webhooks/${id}` })),
    action('rotate'),
    about('POST /v1/webhooks/{id}/enable', disabled),
    action('disable'),
    action('test'),
    about('GET /v1/webhooks/{id}/deliveries', (id) => ({ path: `/v1/webhooks/${id}/deliveries` })),
    about('POST /v1/webhooks/{id}/deliveries/{delivery}/redeliver', tested),
  ];
}
