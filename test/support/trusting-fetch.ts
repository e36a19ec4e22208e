import { request } from 'node:https';
import { Readable } from 'node:stream';

/** fetch with an authority of its own: what NODE_EXTRA_CA_CERTS does for a process. */
export const trustingFetch =
  (ca: string): typeof fetch =>
  async (url, { method = 'GET', headers: given, body: source, signal } = {}) => {
    const headers = new Headers(given);
    let body = source as string | Buffer | undefined;
    if (source instanceof FormData) {
      const form = new Response(source);
      headers.set('content-type', form.headers.get('content-type') ?? '');
      body = Buffer.from(await form.arrayBuffer());
    }
    return new Promise((resolve, reject) => {
      const sent = request(
        String(url),
        { method, ca, headers: Object.fromEntries(headers), ...(signal && { signal }) },
        (response) => {
          const status = response.statusCode ?? 0;
          const empty = method === 'HEAD' || status === 204;
          resolve(
            new Response(empty ? null : (Readable.toWeb(response) as ReadableStream), {
              status,
              headers: response.headers as Record<string, string>,
            }),
          );
        },
      );
      sent.on('error', reject);
      sent.end(body);
    });
  };
