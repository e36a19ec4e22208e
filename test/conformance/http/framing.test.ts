import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { serve, speak } from './harness.ts';
import type { Served } from './harness.ts';

/** Where a case comes from. */
type Source = string;
type Case = readonly [name: string, source: Source, status: number, request: string];

const post = 'POST /v1 HTTP/1.1\r\nHost: a\r\n';
const chunked = `${post}Transfer-Encoding: chunked\r\n\r\n`;
const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n';

/** Each is followed by a request that a disagreement about the end of the first would let through. */
const refused: readonly Case[] = [
  [
    'Content-Length then Transfer-Encoding',
    'PortSwigger CL.TE; RFC 9112 6.1',
    400,
    `${post}Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX`,
  ],
  [
    'Transfer-Encoding then Content-Length',
    'PortSwigger TE.CL; RFC 9112 6.3',
    400,
    `${post}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\n`,
  ],
  [
    'Content-Length 0 beside Transfer-Encoding',
    'PortSwigger TE.0 / CL.0',
    400,
    `${post}Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  ],
  [
    'Transfer-Encoding on HTTP/1.0',
    'RFC 9112 6.1',
    400,
    'POST /v1 HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  ],
  [
    'gzip before chunked',
    'RFC 9112 6.1; llhttp accepts it',
    400,
    `${post}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
  ],
  ['chunked before gzip', 'RFC 9112 6.3', 400, `${post}Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n`],
  ['another spelling of chunked', 'PortSwigger TE.TE', 400, `${post}Transfer-Encoding: cHuNkEd\r\n\r\n0\r\n\r\n`],
  ['xchunked', 'PortSwigger TE.TE', 400, `${post}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`],
  ['identity', 'CVE-2020-8287 family', 400, `${post}Transfer-Encoding: identity\r\n\r\n`],
  [
    'two Transfer-Encodings',
    'CVE-2020-8287',
    400,
    `${post}Transfer-Encoding: chunked\r\nTransfer-Encoding: eee\r\n\r\n0\r\n\r\n`,
  ],
  [
    'two equal Transfer-Encodings',
    'CVE-2020-8287',
    400,
    `${post}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  ],
  ['quoted chunked', 'PortSwigger TE.TE', 400, `${post}Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n`],
  ['empty Transfer-Encoding', 'llhttp transfer-encoding.md', 400, `${post}Transfer-Encoding:\r\n\r\n`],
  [
    'space before the colon',
    'RFC 9112 5.1; CVE-2022-32213',
    400,
    `${post}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n`,
  ],
  ['vertical tab before chunked', 'PortSwigger TE.TE', 400, `${post}Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n`],
  [
    'Transfer-Encoding on a folded line',
    'CVE-2022-32215',
    400,
    `${post}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n`,
  ],
  ['LF in a name', 'CVE-2022-32214', 400, `${post}X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
  ['two Content-Lengths', 'RFC 9112 6.3', 400, `${post}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd`],
  ['two equal Content-Lengths', 'RFC 9110 8.6', 400, `${post}Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc`],
  ['a list of Content-Lengths', 'RFC 9110 8.6', 400, `${post}Content-Length: 3, 3\r\n\r\nabc`],
  ['plus sign', 'llhttp content-length.md', 400, `${post}Content-Length: +3\r\n\r\nabc`],
  ['minus sign', 'llhttp content-length.md', 400, `${post}Content-Length: -3\r\n\r\nabc`],
  ['space inside of Content-Length', 'llhttp content-length.md', 400, `${post}Content-Length: 3 3\r\n\r\nabc`],
  ['hexadecimal Content-Length', 'RFC 9110 8.6', 400, `${post}Content-Length: 0x3\r\n\r\nabc`],
  ['empty Content-Length', 'llhttp content-length.md', 400, `${post}Content-Length:\r\n\r\n`],
  ['Content-Length past 2^64', 'llhttp overflow tests', 400, `${post}Content-Length: 18446744073709551618\r\n\r\nab`],
  ['Content-Length past 2^53', 'RFC 9110 8.6', 400, `${post}Content-Length: 9007199254740993\r\n\r\nab`],
  ['folded header', 'RFC 9112 5.2', 400, `${post}X: a\r\n b\r\nContent-Length: 0\r\n\r\n`],
  ['folded first header', 'RFC 9112 2.2', 400, 'POST / HTTP/1.1\r\n X: y\r\nHost: a\r\n\r\n'],
  ['bare LF everywhere', 'RFC 9112 2.2', 400, 'POST /v1 HTTP/1.1\nHost: a\nContent-Length: 0\n\n'],
  ['bare LF after a header', 'CVE-2023-30589', 400, `${post}X: y\nContent-Length: 0\r\n\r\n`],
  ['bare LF at the end of the head', 'RFC 9112 2.2', 400, `${post}Content-Length: 0\r\n\n`],
  ['bare CR in a header', 'CVE-2023-30589', 400, `${post}X: y\rContent-Length: 0\r\n\r\n`],
  ['CR CR LF', 'RFC 9112 2.2', 400, `${post}X: y\r\r\nContent-Length: 0\r\n\r\n`],
  ['NUL in a value', 'RFC 9110 5.5', 400, `${post}X: a\x00b\r\n\r\n`],
  ['NUL in a name', 'RFC 9110 5.1', 400, `${post}X\x00: a\r\n\r\n`],
  ['DEL in a value', 'RFC 9110 5.5', 400, `${post}X: a\x7fb\r\n\r\n`],
  ['header without a colon', 'RFC 9112 5', 400, `${post}Xabc\r\n\r\n`],
  ['empty name', 'RFC 9110 5.1', 400, `${post}: x\r\n\r\n`],
  ['space in a name', 'RFC 9110 5.1', 400, `${post}X Y: x\r\n\r\n`],
  ['two Hosts', 'RFC 9112 3.2', 400, `${post}Host: b\r\nContent-Length: 0\r\n\r\n`],
  ['two equal Hosts', 'RFC 9112 3.2', 400, `${post}hOST: a\r\nContent-Length: 0\r\n\r\n`],
  ['no Host', 'RFC 9112 3.2', 400, 'POST /v1 HTTP/1.1\r\nContent-Length: 0\r\n\r\n'],
  [
    'a path in Host',
    'PortSwigger host header attacks',
    400,
    'POST /v1 HTTP/1.1\r\nHost: a/b\r\nContent-Length: 0\r\n\r\n',
  ],
  [
    'user information in Host',
    'PortSwigger host header attacks',
    400,
    'POST /v1 HTTP/1.1\r\nHost: a@b\r\nContent-Length: 0\r\n\r\n',
  ],
  [
    'a list in Host',
    'PortSwigger host header attacks',
    400,
    'POST /v1 HTTP/1.1\r\nHost: a, b\r\nContent-Length: 0\r\n\r\n',
  ],
  [
    'absolute form',
    'RFC 9112 3.2.2; PortSwigger host header attacks',
    400,
    'POST http://b/v1 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n',
  ],
  ['authority form', 'RFC 9112 3.2.3', 400, 'POST b:80 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n'],
  ['CONNECT', 'RFC 9110 9.3.6', 400, 'CONNECT b:80 HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['asterisk form', 'RFC 9112 3.2.4', 400, 'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n'],
  [
    'GET with a body',
    'PortSwigger CL.0 with GET',
    400,
    `GET /v1 HTTP/1.1\r\nHost: a\r\nContent-Length: ${smuggled.length}\r\n\r\n`,
  ],
  [
    'GET with chunks',
    'RFC 9110 9.3.1',
    400,
    'GET /v1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  ],
  ['HEAD with a body', 'RFC 9110 9.3.2', 400, 'HEAD /v1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc'],
  ['a line past the limit', 'RFC 9112 3', 431, `GET /${'a'.repeat(40_000)} HTTP/1.1\r\nHost: a\r\n\r\n`],
  ['a header past the limit', 'RFC 6585 5', 431, `${post}X: ${'a'.repeat(40_000)}\r\n\r\n`],
  ['more headers than allowed', 'node drops what is past maxHeadersCount', 431, `${post}${'X: y\r\n'.repeat(101)}\r\n`],
  ['a flood of headers', 'RFC 6585 5', 431, `${post}${'X-Flood: y\r\n'.repeat(5000)}\r\n`],
  ['an Expect that nobody knows', 'RFC 9110 10.1.1', 400, `${post}Expect: 200-ok\r\nContent-Length: 0\r\n\r\n`],
  [
    'two Expects',
    'PortSwigger Expect-based desync (2025)',
    400,
    `${post}Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n`,
  ],
  [
    'an obfuscated Expect',
    'PortSwigger Expect-based desync (2025)',
    400,
    `${post}Expect: y 100-continue\r\nContent-Length: 0\r\n\r\n`,
  ],
  [
    'two Authorizations',
    'RFC 9110 5.3',
    400,
    `${post}Authorization: Bearer a\r\nAuthorization: Bearer b\r\nContent-Length: 0\r\n\r\n`,
  ],
  ['HTTP/2.0 in a request line', 'RFC 9113 3.4', 400, 'GET / HTTP/2.0\r\nHost: a\r\n\r\n'],
  ['HTTP/1.2', 'RFC 9112 2.3', 400, 'GET / HTTP/1.2\r\nHost: a\r\n\r\n'],
  ['HTTP/0.9', 'llhttp http09', 400, 'GET /\r\n\r\n'],
  ['lower-case protocol', 'RFC 9112 2.3', 400, 'GET / http/1.1\r\nHost: a\r\n\r\n'],
  ['another protocol', 'llhttp request/invalid.md', 400, 'GET / HTTPS/1.1\r\nHost: a\r\n\r\n'],
  ['RTSP', 'llhttp speaks it', 405, 'DESCRIBE / RTSP/1.0\r\nHost: a\r\n\r\n'],
  ['ICE', 'llhttp speaks it', 405, 'SOURCE / ICE/1.0\r\nHost: a\r\n\r\n'],
  ['a WebDAV method', 'RFC 9110 9', 405, 'PROPFIND / HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['an unknown method', 'RFC 9110 9', 400, 'FOO / HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a lower-case method', 'RFC 9110 9.1', 400, 'get / HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['space in the target', 'RFC 9112 3', 400, 'GET / x HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['tabs in the request line', 'RFC 9112 3', 400, 'GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n'],
  ['space before the method', 'RFC 9112 2.2', 400, ' GET / HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['non-ASCII target', 'RFC 9112 3.2', 400, 'GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['control character in the target', 'RFC 9112 3.2', 400, 'GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['h2 preface over TLS without ALPN', 'RFC 9113 3.4', 400, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
];

/** These reach the handler before the fault is met, and are refused when it reads the body. */
const badBodies: readonly Case[] = [
  ['letters for a size', 'RFC 9112 7.1', 400, `${chunked}zz\r\n`],
  ['0x in a size', 'PortSwigger funky chunks; RFC 9112 7.1', 400, `${chunked}0x3\r\nabc\r\n0\r\n\r\n`],
  ['negative size', 'RFC 9112 7.1', 400, `${chunked}-3\r\nabc\r\n0\r\n\r\n`],
  ['plus before a size', 'RFC 9112 7.1', 400, `${chunked}+3\r\nabc\r\n0\r\n\r\n`],
  ['space after a size', 'llhttp lenient spaces', 400, `${chunked}3 \r\nabc\r\n0\r\n\r\n`],
  ['size past 2^64', 'llhttp overflow tests', 400, `${chunked}1ffffffffffffffff\r\nabc`],
  ['bare LF after a size', 'PortSwigger funky chunks (2025)', 400, `${chunked}3\nabc\n0\n\n`],
  ['bare CR after a size', 'PortSwigger funky chunks (2025)', 400, `${chunked}3\rabc\r\n0\r\n\r\n`],
  ['no CRLF after a chunk', 'CVE-2022-32214; llhttp lenient', 400, `${chunked}3\r\nabc0\r\n\r\n`],
  ['two bytes in place of CRLF after a chunk', 'PortSwigger funky chunks (2025)', 400, `${chunked}3\r\nabcXX0\r\n\r\n`],
  ['a size that is missing', 'RFC 9112 7.1', 400, `${chunked};x\r\n\r\n`],
  ['LF in a chunk extension', 'PortSwigger TERM.EXT', 400, `${chunked}3;\nabc\r\n0\r\n\r\n`],
  ['CR in a chunk extension', 'PortSwigger EXT.TERM', 400, `${chunked}3;a\rX\nabc\r\n0\r\n\r\n`],
  ['NUL in a chunk extension', 'RFC 9112 7.1.1', 400, `${chunked}3;\x00\r\nabc\r\n0\r\n\r\n`],
  ['an endless chunk extension', 'CVE-2024-22019', 413, `${chunked}3;${'a'.repeat(20_000)}\r\nabc\r\n0\r\n\r\n`],
  ['Content-Length in a trailer', 'RFC 9110 6.5.1', 400, `${chunked}3\r\nabc\r\n0\r\nContent-Length: 9\r\n\r\n`],
  [
    'Transfer-Encoding in a trailer',
    'RFC 9110 6.5.1',
    400,
    `${chunked}3\r\nabc\r\n0\r\nTransfer-Encoding: gzip\r\n\r\n`,
  ],
];

const accepted: readonly (readonly [name: string, source: Source, seen: string, request: string])[] = [
  ['a chunk extension, which is ignored', 'RFC 9112 7.1.1', 'POST /v1 abc', `${chunked}3;a=b\r\nabc\r\n0\r\n\r\n`],
  ['a trailer, which is dropped', 'RFC 9110 6.5.1', 'POST /v1 abc', `${chunked}3\r\nabc\r\n0\r\nX-Evil: 1\r\n\r\n`],
  ['white space around Content-Length', 'RFC 9110 5.6.3', 'POST /v1 abc', `${post}Content-Length: \t 3 \r\n\r\nabc`],
  ['leading zeros in Content-Length', 'RFC 9110 8.6', 'POST /v1 abc', `${post}Content-Length: 003\r\n\r\nabc`],
  [
    'GET that announces no body',
    'RFC 9110 9.3.1',
    'GET /v1',
    'GET /v1 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n',
  ],
  [
    'DELETE with a body',
    'RFC 9110 9.3.5',
    'DELETE /v1 abc',
    'DELETE /v1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc',
  ],
  ['HTTP/1.0 with a length', 'RFC 9112 2.3', 'POST /v1 abc', 'POST /v1 HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc'],
  ['an empty line before the request', 'RFC 9112 2.2', 'GET /v1', '\r\nGET /v1 HTTP/1.1\r\nHost: a\r\n\r\n'],
  [
    'h2c upgrade, which is ignored',
    'RFC 9113 3.1',
    'POST /v1',
    `${post}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nContent-Length: 0\r\n\r\n`,
  ],
  [
    'an unknown upgrade, which is ignored',
    'RFC 9110 7.8',
    'POST /v1',
    `${post}Connection: Upgrade\r\nUpgrade: foo\r\nContent-Length: 0\r\n\r\n`,
  ],
  ['Host with a port', 'RFC 9110 7.2', 'GET /v1', 'GET /v1 HTTP/1.1\r\nHost: [::1]:8443\r\n\r\n'],
];

describe('HTTP/1.1 framing', () => {
  let served: Served;
  beforeAll(async () => {
    served = await serve();
  });
  afterAll(() => served.stop());

  test.each(refused)('refuses and closes: %s (%s)', async (_name, _source, status, request) => {
    served.exchanges.length = served.refused.length = 0;
    const spoken = await speak(served, request + smuggled);
    expect(spoken.statuses).toEqual([status]);
    expect(spoken.closed).toBe(true);
    expect(spoken.text).toContain('connection: close');
    expect(spoken.text).toContain('"code"');
    expect(served.exchanges).toEqual([]);
    expect(served.refused).toHaveLength(1);
  });

  test.each(badBodies)('refuses the body and closes: %s (%s)', async (_name, _source, status, request) => {
    served.seen.length = served.exchanges.length = 0;
    const spoken = await speak(served, request + smuggled);
    expect(spoken.statuses).toEqual([status]);
    expect(spoken.closed).toBe(true);
    expect(served.seen).toEqual([]);
    expect(served.exchanges).toHaveLength(1);
  });

  test.each(badBodies)(
    'refuses it also when it comes byte by byte: %s (%s)',
    async (_name, _source, status, request) => {
      served.seen.length = 0;
      const spoken = await speak(served, request.length > 1000 ? [request] : [...request]);
      expect(spoken.statuses).toEqual([status]);
      expect(served.seen).toEqual([]);
    },
  );

  test.each(accepted)('accepts %s (%s)', async (_name, _source, seen, request) => {
    served.seen.length = 0;
    const spoken = await speak(served, request, { answers: 1 });
    expect(spoken.statuses).toEqual([200]);
    expect(served.seen).toEqual([seen]);
  });

  test('a refused head with a large body behind it is answered, not reset', async () => {
    served.exchanges.length = 0;
    const megabyte = 'a'.repeat(1024 * 1024);
    const spoken = await speak(served, [
      `${post}Host: b\r\nContent-Length: 8388608\r\n\r\n`,
      ...new Array<string>(8).fill(megabyte),
    ]);
    expect(spoken.statuses).toEqual([400]);
    expect(served.exchanges).toEqual([]);
  });
});
