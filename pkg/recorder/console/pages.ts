import type { IncomingMessage, ServerResponse } from 'node:http';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

/** One file of the console, as browsers get it. */
export interface ConsoleAsset {
  readonly name: string;
  /** Value of Content-Type. */
  readonly type: string;
  readonly body: Buffer;
  /** Value of ETag, strong. */
  readonly etag: string;
}

/** An asset in the forms in which it is sent, those that browsers are best served by first. */
export type EncodedAsset = readonly (Pick<ConsoleAsset, 'type' | 'body' | 'etag'> & {
  /** Value of Content-Encoding; undefined: as it is. */
  readonly encoding: 'br' | 'gzip' | undefined;
})[];

/** Compresses an asset, once. Nothing in it is of anybody, so that its length tells nothing. */
export function encodeAsset({ type, body, etag }: ConsoleAsset): EncodedAsset {
  const tagged = (encoding: string): string => `${etag.slice(0, -1)}-${encoding}"`;
  const brotli = brotliCompressSync(body, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: body.length } });
  return [
    { encoding: 'br', type, body: brotli, etag: tagged('br') },
    { encoding: 'gzip', type, body: gzipSync(body, { level: constants.Z_BEST_COMPRESSION }), etag: tagged('gzip') },
    { encoding: undefined, type, body, etag },
  ];
}

/** What a client says that it takes (RFC 9110, 12.5.3); `*` counts for nothing, since it names no form. */
function takes(request: IncomingMessage, encoding: string): boolean {
  const listed = [request.headers['accept-encoding'] ?? ''].flat().join().toLowerCase().split(',');
  return listed.some((one) => {
    const [name = '', ...parameters] = one.split(';').map((part) => part.trim());
    return name === encoding && !parameters.some((part) => /^q=0(\.0*)?$/.test(part));
  });
}

/** Holds nothing of anybody; a browser asks whether it is still the same. */
export function sendAsset(request: IncomingMessage, response: ServerResponse, asset: EncodedAsset): void {
  const form = asset.find(({ encoding }) => encoding === undefined || takes(request, encoding));
  if (form === undefined) throw new RangeError('every asset is sent as it is to who takes nothing else');
  const { type, body, etag, encoding } = form;
  const head = { etag, vary: 'accept-encoding', 'cache-control': 'no-cache' };
  const known = (request.headers['if-none-match'] ?? '').split(/\s*,\s*/).map((tag) => tag.replace(/^W\//, ''));
  if (known.includes(etag)) {
    response.writeHead(304, head).end();
    return;
  }
  const encoded = encoding === undefined ? {} : { 'content-encoding': encoding };
  response.writeHead(200, { ...head, ...encoded, 'content-type': type, 'content-length': body.length }).end(body);
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
