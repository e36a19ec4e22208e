import { Agent, request } from 'node:http';
import { Duplex } from 'node:stream';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { AnswerHead } from '../../../pkg/http/client/answer-head.ts';
import { AnswerParser } from '../../../pkg/http/client/answer-parser.ts';

const runs = Number(process.env['FUZZ_RUNS'] ?? 4_000);

interface Read {
  readonly status: number;
  readonly type: unknown;
  readonly body: string;
}

/** Whole answers only, which the end of the connection may end; `used`: how much of the text was theirs. */
function ours(pieces: readonly string[]): (Read & { readonly used: number }) | undefined {
  let head: AnswerHead | undefined;
  let body = '';
  const parser = new AnswerParser(
    { maxHeaderBytes: 16_384, maxHeaders: 100 },
    { answerHead: (given) => (head = given), answerBody: (bytes) => (body += bytes.toString('latin1')) },
  );
  parser.begin(false);
  let used = 0;
  for (const piece of pieces) {
    if (parser.complete) break;
    const taken = parser.push(Buffer.from(piece, 'latin1'));
    if (taken === -1) return undefined;
    used += taken;
  }
  if (head === undefined || !(parser.complete || parser.endsWithConnection)) return undefined;
  return { status: head.status, type: head.headers['content-type'], body, used };
}

/** The same bytes read by node:http. */
function theirs(text: string): Promise<Read | undefined> {
  const socket = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() });
  return new Promise((resolve) => {
    const agent = new Agent();
    agent.createConnection = () => socket;
    const sent = request({ agent, path: '/' });
    sent.on('error', () => resolve(undefined));
    sent.on('upgrade', () => resolve(undefined));
    sent.on('response', (response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => (body += chunk.toString('latin1')));
      response.on('error', () => resolve(undefined));
      response.on('end', () =>
        resolve(
          response.complete
            ? { status: response.statusCode ?? 0, type: response.headers['content-type'], body }
            : undefined,
        ),
      );
    });
    sent.end();
    setImmediate(() => {
      socket.push(Buffer.from(text, 'latin1'));
      socket.push(null);
    });
  }).then((read) => {
    socket.destroy();
    return read as Read | undefined;
  });
}

const piece = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('HTTP/1.1 200 OK\r\n', 'Content-Length: 3\r\n', 'Content-Length: 0\r\n') },
  { weight: 6, arbitrary: fc.constantFrom('Transfer-Encoding: chunked\r\n', 'Content-Type: a/b\r\n', 'X: y\r\n') },
  { weight: 6, arbitrary: fc.constantFrom('\r\n', 'abc', '3\r\nabc\r\n', '0\r\n\r\n', '1;x=y\r\nz\r\n') },
  { weight: 3, arbitrary: fc.constantFrom('Connection: close\r\n', 'HTTP/1.0 404 No\r\n', 'HTTP/1.1 100 C\r\n\r\n') },
  {
    weight: 1,
    arbitrary: fc.constantFrom('\n', '\r', '\0', ' ', '\t', ':', ';', ',', 'HTTP/1.1 204 x\r\n', 'a\r\n b\r\n'),
  },
  { weight: 1, arbitrary: fc.string({ maxLength: 4 }) },
);
const wellFormed = fc
  .tuple(
    fc.constantFrom('HTTP/1.1 200 OK\r\n', 'HTTP/1.0 500 x\r\n', 'HTTP/1.1 100 C\r\n\r\nHTTP/1.1 201 y\r\n'),
    fc.constantFrom('', 'Content-Type: a/b\r\n', 'Content-Type: c/d\r\nContent-Type: a/b\r\n'),
    fc.constantFrom(
      'Content-Length: 3\r\n\r\nabc',
      'Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;q\r\nc\r\n0\r\n\r\n',
      '\r\nabc',
    ),
  )
  .map((parts) => parts.join(''));
/** A good answer with one thing put in, taken out or changed. */
const mutated = fc.tuple(wellFormed, fc.nat(), fc.nat(3), piece).map(([text, where, cut, put]) => {
  const at = where % (text.length + 1);
  return text.slice(0, at) + put + text.slice(at + cut);
});
const answer = fc.oneof(
  wellFormed,
  mutated,
  fc.array(piece, { maxLength: 12 }).map((parts) => parts.join('')),
);

test('what is read as a whole answer is read the same by node:http', async () => {
  let compared = 0;
  await fc.assert(
    fc.asyncProperty(answer, async (text) => {
      const mine = ours([text]);
      if (mine === undefined) return;
      compared++;
      const { used, ...read } = mine;
      // What stands behind an answer ends our connection; node:http calls the answer itself wrong.
      expect(await theirs(text.slice(0, used))).toEqual(read);
    }),
    { numRuns: Math.ceil(runs / 2) },
  );
  expect(compared).toBeGreaterThan(runs / 20);
}, 120_000);

test('however it is split, it is read the same', () => {
  fc.assert(
    fc.property(answer, fc.array(fc.nat({ max: 200 }), { maxLength: 6 }), (text, cuts) => {
      const at = [0, ...cuts.filter((cut) => cut < text.length).sort((a, b) => a - b), text.length];
      const pieces = at.slice(1).map((end, index) => text.slice(at[index], end));
      expect(ours(pieces)).toEqual(ours([text]));
      expect(ours([...text])).toEqual(ours([text]));
    }),
    { numRuns: runs },
  );
}, 120_000);
