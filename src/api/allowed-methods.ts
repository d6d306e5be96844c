/** Which methods a path takes, for 405 and its Allow header (RFC 9110, 15.5.6). */
import type { OpenAPIHono } from '@hono/zod-openapi';
import type { Env } from './parts.ts';

/** The methods of the described routes that this path matches; none for a path that no route has. */
export function allowedMethods(app: OpenAPIHono<Env>): (path: string) => string[] {
  let routes: { method: string; path: string; matches: RegExp }[] | undefined;
  return (path) => {
    // At the first question: routes are added after this was called.
    routes ??= app.openAPIRegistry.definitions.flatMap((definition) =>
      definition.type === 'route'
        ? [{ method: definition.route.method.toUpperCase(), path: definition.route.path, matches: patternOf(definition.route.path) }]
        : [],
    );
    // What is written out goes before a pattern, as in the description: `export` is no `{ref}`.
    const exact = routes.filter(({ path: written }) => written === path);
    const meant = exact.length > 0 ? exact : routes.filter(({ matches }) => matches.test(path));
    return [...new Set(meant.flatMap(({ method }) => methodsOf(method)))].toSorted();
  };
}

/** Whoever answers GET answers HEAD. */
const methodsOf = (method: string): string[] => (method === 'GET' ? ['GET', 'HEAD'] : [method]);

function patternOf(path: string): RegExp {
  const parts = path.split('/').map((part) => (part.startsWith('{') ? '[^/]+' : part.replaceAll(/[^\w-]/g, String.raw`\$&`)));
  return new RegExp(`^${parts.join('/')}$`);
}
