import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createServer, request } from 'node:http';
import type { IncomingHttpHeaders, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { encodeAsset, sendAsset } from './pages.ts';

// One file of the console as it is sent to browsers, and to what is none.

const body = Buffer.from('export const one = 1;\n'.repeat(200));
const asset = encodeAsset({ name: 'app.js', type: 'text/javascript; charset=utf-8', body, etag: '"app"' });
let server: Server;
beforeAll(async () => {
  server = createServer((asked, response) => sendAsset(asked, response, asset));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterAll(() => new Promise((resolve) => server.close(resolve)));

function get(
  headers: Readonly<Record<string, string>>,
): Promise<{ readonly status: number | undefined; readonly headers: IncomingHttpHeaders; readonly body: Buffer }> {
  return new Promise((resolve, reject) => {
    const { port } = server.address() as AddressInfo;
    const sent = request({ host: '127.0.0.1', port, headers, agent: false }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', reject);
      answer.on('end', () =>
        resolve({ status: answer.statusCode, headers: answer.headers, body: Buffer.concat(chunks) }),
      );
    });
    sent.on('error', reject).end();
  });
}

const forms = { br: brotliDecompressSync, gzip: gunzipSync, identity: (bytes: Buffer): Buffer => bytes } as const;

test.each<[string | undefined, keyof typeof forms]>([
  [undefined, 'identity'],
  ['', 'identity'],
  ['*', 'identity'],
  ['deflate, zstd', 'identity'],
  ['gzip, deflate, br, zstd', 'br'],
  ['GZIP;q=0.5', 'gzip'],
  ['br;q=0, gzip', 'gzip'],
  ['br; q=0.000, gzip;q=0', 'identity'],
  ['brotli', 'identity'],
])('to who takes %j it is sent as %s', async (accepted, form) => {
  const answer = await get(accepted === undefined ? {} : { 'accept-encoding': accepted });
  expect(answer.status).toBe(200);
  expect(answer.headers).toMatchObject({
    'content-type': 'text/javascript; charset=utf-8',
    'content-length': String(answer.body.length),
    vary: 'accept-encoding',
    etag: form === 'identity' ? '"app"' : `"app-${form}"`,
  });
  expect(answer.headers['content-encoding']).toBe(form === 'identity' ? undefined : form);
  expect(forms[form](answer.body)).toEqual(body);
  expect(answer.body.length < body.length).toBe(form !== 'identity');
});

test('who has it is told so, of the form that they would get', async () => {
  const known = (etag: string, accepted: string) => get({ 'if-none-match': etag, 'accept-encoding': accepted });
  const same = await known('"other", W/"app-br"', 'br');
  expect([same.status, same.body.length]).toEqual([304, 0]);
  expect(same.headers).toMatchObject({ vary: 'accept-encoding', etag: '"app-br"' });
  expect((await known('"app"', 'identity')).status).toBe(304);
  expect((await known('"app"', 'br')).status).toBe(200);
});
