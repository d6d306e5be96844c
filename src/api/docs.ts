/** `/docs`: the description for people. All it loads comes from here, and nothing of it runs inline. */
import type { OpenAPIHono } from '@hono/zod-openapi';
import { SealpoolError } from '../schema/problem.ts';
import type { ApiParts, Env } from './parts.ts';

const PAGE = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>Sealpool API</title>
    <link rel="icon" href="/docs/favicon-32x32.png" />
    <link rel="stylesheet" href="/docs/swagger-ui.css" />
  </head>
  <body>
    <div id="docs"></div>
    <script src="/docs/swagger-ui-bundle.js"></script>
    <script src="/docs/start.js"></script>
  </body>
</html>
`;

/** No validator: it would send the document's address elsewhere. Tokens are kept in the page only. */
const START = `SwaggerUIBundle({
  url: '/openapi.json',
  dom_id: '#docs',
  validatorUrl: null,
  deepLinking: true,
  persistAuthorization: false,
  docExpansion: 'list',
});
`;

/** The files of swagger-ui that the page loads. */
export const DOCS_FILES: Readonly<Record<string, string>> = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
  'favicon-32x32.png': 'image/png',
};

/** swagger-ui sets styles on elements and has its icons as data URLs; scripts are our files and nothing else. */
const HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
};

export function docsRoutes(app: OpenAPIHono<Env>, { docsFile }: ApiParts): void {
  const missing = (): never => {
    throw new SealpoolError('not_found', 'no_docs', 'this control plane has no such page of docs; the description is at /openapi.json');
  };
  const answer = (body: string | Uint8Array<ArrayBuffer>, type: string): Response =>
    new Response(body, { headers: { ...HEADERS, 'content-type': type } });
  app.get('/docs', () => (docsFile === undefined ? missing() : answer(PAGE, 'text/html; charset=utf-8')));
  app.get('/docs/start.js', () => (docsFile === undefined ? missing() : answer(START, 'text/javascript; charset=utf-8')));
  app.get('/docs/:file', async (c) => {
    const name = c.req.param('file');
    const type = Object.hasOwn(DOCS_FILES, name) ? DOCS_FILES[name] : undefined;
    if (type === undefined || docsFile === undefined) return missing();
    return answer(await docsFile(name), type);
  });
}
