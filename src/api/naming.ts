/** Names that the description derives from a route: its operationId and its group. */

const words = (text: string): string[] => text.split(/[^a-z0-9]+/i).filter((word) => word !== '');
const capital = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1);

/** `POST /v1/sectors/{ref}/pause` is `postSectorsByRefPause`: one name for each route, without a table. */
export function operationIdOf(method: string, path: string): string {
  const named = path
    .split('/')
    .filter((part) => part !== '' && part !== 'v1')
    .map((part) => (part.startsWith('{') ? 'By' : '') + words(part).map(capital).join(''));
  return method + named.join('');
}

/** `sectors` for `/v1/sectors/…`; `agents` for what runners call themselves; `operations` outside of /v1. */
export function groupOf(path: string): string {
  if (!path.startsWith('/v1/')) return 'operations';
  if (path === '/v1/runners/register' || path.startsWith('/v1/runners/self/')) return 'agents';
  return path.split('/')[2] ?? 'operations';
}
