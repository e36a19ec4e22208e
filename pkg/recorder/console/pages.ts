import type { IncomingMessage, ServerResponse } from 'node:http';

/** One file of the console, as browsers get it. */
export interface ConsoleAsset {
  readonly name: string;
  /** Value of Content-Type. */
  readonly type: string;
  readonly body: Buffer;
  /** Value of ETag, strong. */
  readonly etag: string;
}

/** Holds nothing of anybody; a browser asks whether it is still the same. */
export function sendAsset(request: IncomingMessage, response: ServerResponse, asset: ConsoleAsset): void {
  const { type, body, etag } = asset;
  const head = { etag, 'cache-control': 'no-cache' };
  const known = (request.headers['if-none-match'] ?? '').split(/\s*,\s*/);
  if (known.includes(etag)) response.writeHead(304, head).end();
  else response.writeHead(200, { ...head, 'content-type': type, 'content-length': body.length }).end(body);
}

export function redirect(response: ServerResponse, to: string, setCookies: readonly string[]): void {
  response
    .writeHead(302, {
      location: to,
      'content-length': 0,
      ...(setCookies.length > 0 && { 'set-cookie': [...setCookies] }),
    })
    .end();
}

/** What a person sees whose login came to nothing; the words are this code's own. */
export function sendLoginPage(
  response: ServerResponse,
  status: number,
  words: string,
  more: Readonly<Record<string, string | readonly string[]>> = {},
): void {
  const text = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>Not logged in</title>
<h1>Not logged in</h1>
<p>${words}</p>
<p><a href="/console/login">Log in again</a></p>
</html>
`;
  const headers = Object.fromEntries(
    Object.entries(more).map(([name, value]) => [name, typeof value === 'string' ? value : [...value]]),
  );
  response
    .writeHead(status, {
      ...headers,
      'content-type': 'text/html; charset=utf-8',
      'content-length': Buffer.byteLength(text),
    })
    .end(text);
}
