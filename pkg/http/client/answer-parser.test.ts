import { describe, expect, test } from '@jest/globals';
import type { AnswerHead } from './answer-head.ts';
import { AnswerParser } from './answer-parser.ts';

interface Read {
  readonly status: number | undefined;
  readonly headers: Record<string, unknown>;
  readonly body: string;
  /** `open`: neither whole nor wrong yet. */
  readonly end: 'complete' | 'wrong' | 'open' | 'close';
  readonly behind: number;
  readonly keepAlive: boolean | undefined;
}

const limits = { maxHeaderBytes: 4096, maxHeaders: 20 };

function read(pieces: readonly string[], { bodiless = false } = {}): Read {
  let head: AnswerHead | undefined;
  let body = '';
  const parser = new AnswerParser(limits, {
    answerHead(given) {
      expect(head).toBeUndefined();
      expect(body).toBe('');
      head = given;
    },
    answerBody: (bytes) => (body += bytes.toString('latin1')),
  });
  parser.begin(bodiless);
  let end: Read['end'] = 'open';
  let behind = 0;
  for (const piece of pieces) {
    if (end === 'wrong') break;
    if (end === 'complete') {
      behind += piece.length;
      continue;
    }
    const taken = parser.push(Buffer.from(piece, 'latin1'));
    if (taken === -1) end = 'wrong';
    else if (parser.complete) {
      end = 'complete';
      behind += piece.length - taken;
    } else expect(taken).toBe(piece.length);
  }
  if (end === 'open' && parser.endsWithConnection) end = 'close';
  return { status: head?.status, headers: { ...head?.headers }, body, end, behind, keepAlive: head?.keepAlive };
}

/** Whole, in two pieces at every place, and byte by byte: always the same. */
function readEveryWay(text: string, options: { bodiless?: boolean } = {}): Read {
  const whole = read([text], options);
  expect(read([...text], options)).toEqual(whole);
  for (let at = 1; at < text.length; at++) {
    const split = read([text.slice(0, at), text.slice(at)], options);
    if (JSON.stringify(split) !== JSON.stringify(whole)) expect({ at, ...split }).toEqual({ at, ...whole });
  }
  return whole;
}

const ok = 'HTTP/1.1 200 OK\r\n';
const chunked = `${ok}Transfer-Encoding: chunked\r\n\r\n`;

describe('answers', () => {
  test.each<[string, string, Partial<Read>]>([
    ['with a length', `${ok}Content-Length: 5\r\n\r\nhello`, { body: 'hello', end: 'complete', keepAlive: true }],
    ['with a length of 0', `${ok}Content-Length: 0\r\n\r\n`, { body: '', end: 'complete' }],
    ['that close', `${ok}Content-Length: 1\r\nConnection: close\r\n\r\na`, { keepAlive: false, end: 'complete' }],
    ['that close, among others', `${ok}Content-Length: 0\r\nConnection: x, Close\r\n\r\n`, { keepAlive: false }],
    ['of HTTP/1.0', 'HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na', { keepAlive: false, end: 'complete' }],
    [
      'of HTTP/1.0 that stay',
      'HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: Keep-Alive\r\n\r\na',
      { keepAlive: true, end: 'complete' },
    ],
    ['without a length', `${ok}\r\nall that comes`, { body: 'all that comes', end: 'close' }],
    ['without a reason', 'HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n', { status: 200, end: 'complete' }],
    ['with an empty reason', 'HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n', { status: 200, end: 'complete' }],
    ['204 without a body', 'HTTP/1.1 204 No Content\r\n\r\n', { status: 204, body: '', end: 'complete' }],
    ['304 with the length of another', 'HTTP/1.1 304 x\r\nContent-Length: 9\r\n\r\n', { body: '', end: 'complete' }],
    ['in chunks', `${chunked}3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n`, { body: 'abcde', end: 'complete', keepAlive: true }],
    [
      'in chunks, in capitals',
      `${ok}Transfer-Encoding: Chunked\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n`,
      { end: 'complete' },
    ],
    ['chunk sizes with zeros', `${chunked}0003\r\nabc\r\n000\r\n\r\n`, { body: 'abc', end: 'complete' }],
    ['chunk extensions', `${chunked}3;a=b;c="d"\r\nabc\r\n0;x\r\n\r\n`, { body: 'abc', end: 'complete' }],
    ['trailers, dropped', `${chunked}1\r\na\r\n0\r\nX-T: 1\r\nY: 2\r\n\r\n`, { body: 'a', end: 'complete' }],
    [
      'after interim ones',
      `HTTP/1.1 103 x\r\nLink: y\r\n\r\nHTTP/1.1 100\r\n\r\n${ok}Content-Length: 1\r\n\r\na`,
      { status: 200, body: 'a', end: 'complete' },
    ],
    ['with something behind', `${ok}Content-Length: 1\r\n\r\nabc`, { body: 'a', end: 'complete', behind: 2 }],
    ['with something behind chunks', `${chunked}0\r\n\r\nHTTP`, { body: '', end: 'complete', behind: 4 }],
  ])('%s', (_name, text, expected) => {
    expect(readEveryWay(text)).toMatchObject(expected);
  });

  test('to HEAD have no body', () => {
    const text = `${ok}Content-Length: 5\r\n\r\n`;
    expect(readEveryWay(text, { bodiless: true })).toMatchObject({ body: '', end: 'complete', behind: 0 });
    expect(readEveryWay(chunked, { bodiless: true })).toMatchObject({ end: 'complete' });
  });

  test('headers: lower case, without the blanks around, and doubled ones as node:http has them', () => {
    const fields = [
      'Content-Type:\t text/plain \t',
      'X-A: 1',
      'x-a: 2',
      'SET-COOKIE: a',
      'Set-Cookie: b',
      'Content-Type: text/html',
      'X-Empty:',
      'X-Latin: \xe9',
      '__proto__: p',
      'constructor: c',
    ];
    const { headers } = readEveryWay(`${ok}${fields.map((one) => `${one}\r\n`).join('')}Content-Length: 0\r\n\r\n`);
    expect(Object.entries(headers)).toEqual([
      ['content-type', 'text/plain'],
      ['x-a', '1, 2'],
      ['set-cookie', ['a', 'b']],
      ['x-empty', ''],
      ['x-latin', '\xe9'],
      ['__proto__', 'p'],
      ['constructor', 'c'],
      ['content-length', '0'],
    ]);
  });
});

describe('what is no answer', () => {
  const field = (line: string): string => `${ok}${line}\r\nContent-Length: 0\r\n\r\n`;
  test.each([
    ['another protocol', 'SSH-2.0-OpenSSH\r\n\r\n'],
    ['HTTP/2.0', 'HTTP/2.0 200 OK\r\n\r\n'],
    ['HTTP/0.9', 'HTTP/0.9 200 OK\r\n\r\n'],
    ['HTTP/1.2', 'HTTP/1.2 200 OK\r\n\r\n'],
    ['a version in small letters', 'http/1.1 200 OK\r\n\r\n'],
    ['a request', 'GET / HTTP/1.1\r\n\r\n'],
    ['a status of two digits', 'HTTP/1.1 20 OK\r\n\r\n'],
    ['a status of four digits', 'HTTP/1.1 2000 OK\r\n\r\n'],
    ['a status of 0', 'HTTP/1.1 000 OK\r\n\r\n'],
    ['two spaces before the status', 'HTTP/1.1  200 OK\r\n\r\n'],
    ['an empty line first', `\r\n${ok}\r\n`],
    ['a space first', ` ${ok}\r\n`],
    ['101', 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n'],
    ['an interim answer with a length', `HTTP/1.1 100 C\r\nContent-Length: 3\r\n\r\n${ok}Content-Length: 0\r\n\r\n`],
    [
      'an interim answer in chunks',
      `HTTP/1.1 103 C\r\nTransfer-Encoding: chunked\r\n\r\n${ok}Content-Length: 0\r\n\r\n`,
    ],
    ['an interim answer that closes', `HTTP/1.1 100 C\r\nConnection: close\r\n\r\n${ok}Content-Length: 0\r\n\r\n`],
    ['an interim answer of HTTP/1.0', `HTTP/1.0 100 C\r\n\r\n${ok}Content-Length: 0\r\n\r\n`],
    ['lines that end with LF', 'HTTP/1.1 200 OK\nContent-Length: 0\n\n'],
    ['one line that ends with LF', `${ok}X: y\nContent-Length: 0\r\n\r\n`],
    ['a CR within a line', field('X: a\rb')],
    ['CR CR LF', field('X: a\r')],
    ['NUL', field('X: a\0b')],
    ['DEL', field('X: a\x7fb')],
    ['an escape character in the reason', 'HTTP/1.1 200 O\x1bK\r\nContent-Length: 0\r\n\r\n'],
    ['a folded line', field('X: a\r\n b')],
    ['a folded line by tab', field('X: a\r\n\tb')],
    ['a line without a colon', field('X')],
    ['no name', field(': x')],
    ['a space before the colon', field('X : y')],
    ['a space in a name', field('X Y: z')],
    ['a name in latin1', field('X\xe9: z')],
    ['two lengths', `${ok}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab`],
    ['the same length twice', `${ok}Content-Length: 1\r\nContent-Length: 1\r\n\r\na`],
    ['a list of lengths', `${ok}Content-Length: 1, 1\r\n\r\na`],
    ['a length with a sign', `${ok}Content-Length: +1\r\n\r\na`],
    ['a negative length', `${ok}Content-Length: -1\r\n\r\na`],
    ['a hexadecimal length', `${ok}Content-Length: 0x1\r\n\r\na`],
    ['an empty length', `${ok}Content-Length:\r\n\r\na`],
    ['a length past all bounds', `${ok}Content-Length: 99999999999999999999\r\n\r\na`],
    ['a length and chunks', `${ok}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ['chunks and a length', `${ok}Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n`],
    ['chunked twice', `${ok}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ['chunked within a list', `${ok}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`],
    ['a coding that is not chunked', `${ok}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`],
    ['identity', `${ok}Transfer-Encoding: identity\r\nContent-Length: 1\r\n\r\na`],
    ['a vertical tab before chunked', `${ok}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n`],
    ['chunks in HTTP/1.0', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['a chunk without a size', `${chunked}\r\nabc\r\n0\r\n\r\n`],
    ['a chunk size that is none', `${chunked}zz\r\n`],
    ['a chunk size with a sign', `${chunked}+3\r\nabc\r\n0\r\n\r\n`],
    ['a chunk size with 0x', `${chunked}0x3\r\nabc\r\n0\r\n\r\n`],
    ['a space before a chunk size', `${chunked} 3\r\nabc\r\n0\r\n\r\n`],
    ['a space after a chunk size', `${chunked}3 \r\nabc\r\n0\r\n\r\n`],
    ['a chunk size past all bounds', `${chunked}fffffffffffffffff\r\nabc`],
    ['a chunk size that ends with LF', `${chunked}3\nabc\r\n0\r\n\r\n`],
    ['a chunk that is longer', `${chunked}3\r\nabcd\r\n0\r\n\r\n`],
    ['a chunk that ends with LF', `${chunked}3\r\nabc\n0\r\n\r\n`],
    ['an empty extension', `${chunked}3;\r\nabc\r\n0\r\n\r\n`],
    ['blanks in an extension', `${chunked}3;a b\r\nabc\r\n0\r\n\r\n`],
    ['an extension without its closing quote', `${chunked}3;a="b\r\nabc\r\n0\r\n\r\n`],
    ['an LF in an extension', `${chunked}3;a\nb\r\nabc\r\n0\r\n\r\n`],
    ['a CR in an extension', `${chunked}3;a\rb\r\nabc\r\n0\r\n\r\n`],
    ['a trailer that is none', `${chunked}0\r\nX\r\n\r\n`],
    ['a trailer with an LF', `${chunked}0\r\nX: y\n\r\n\r\n`],
    ['a length among the trailers', `${chunked}0\r\nContent-Length: 0\r\n\r\n`],
    ['a coding among the trailers', `${chunked}0\r\ntransfer-encoding: chunked\r\n\r\n`],
    ['a folded trailer', `${chunked}0\r\nX: y\r\n z\r\n\r\n`],
    ['more headers than allowed', `${ok}${'X: y\r\n'.repeat(21)}\r\n`],
    ['more trailers than allowed', `${chunked}0\r\n${'X: y\r\n'.repeat(22)}\r\n`],
  ])('%s', (_name, text) => {
    const { end, body } = readEveryWay(text);
    expect(end).toBe('wrong');
    expect(['', 'abc']).toContain(body);
  });

  test.each([
    ['a head', `${ok}X: ${'a'.repeat(5000)}`],
    ['a status line', `HTTP/1.1 200 ${'a'.repeat(5000)}`],
    ['trailers', `${chunked}0\r\nX: ${'a'.repeat(5000)}`],
    ['extensions of one chunk', `${chunked}1;${'a'.repeat(17_000)}`],
    ['extensions of many chunks', chunked + `1;${'a'.repeat(1000)}\r\nb\r\n`.repeat(20)],
    ['interim answers', 'HTTP/1.1 102 Processing\r\n\r\n'.repeat(40)],
  ])('%s without end: refused as soon as it is over the bound', (_name, text) => {
    expect(read([text]).end).toBe('wrong');
    expect(read([...text]).end).toBe('wrong');
  });

  test('is never whole where it was cut', () => {
    for (const text of [`${ok}Content-Length: 3\r\n\r\nabc`, `${chunked}3;x\r\nabc\r\n0\r\nT: u\r\n\r\n`]) {
      for (let at = 0; at < text.length; at++) expect(read([text.slice(0, at)]).end).toBe('open');
    }
  });
});

test('who has heard enough at the head hears no body', () => {
  const seen: string[] = [];
  const parser = new AnswerParser(limits, {
    answerHead() {
      seen.push('head');
      parser.stop();
    },
    answerBody: () => seen.push('body'),
  });
  parser.begin(false);
  expect(parser.push(Buffer.from(`${ok}Content-Length: 1\r\n\r\na`))).toBe(-1);
  expect(seen).toEqual(['head']);
});

test('bytes given to the listener stay, though what was read goes away', () => {
  const bodies: Buffer[] = [];
  const parser = new AnswerParser(limits, { answerHead: () => undefined, answerBody: (bytes) => bodies.push(bytes) });
  parser.begin(false);
  const bytes = Buffer.from(`${chunked}3\r\nabc\r\n3\r\ndef\r\n`);
  parser.push(bytes);
  bytes.fill(0);
  expect(Buffer.concat(bodies).toString()).toBe('abcdef');
  expect(bodies).toHaveLength(1);
});
