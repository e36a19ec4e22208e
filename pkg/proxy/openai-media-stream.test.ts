import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { cuts, maskedStream, maskedWhole, piece, readsOf } from '../../test/support/masked-stream.ts';
import { parseJson } from '../base/index.ts';
import { recognise, sse } from '../dialect/index.ts';
import type { Route } from '../dialect/index.ts';

// The guarantee on streams for transcripts: what has left of the text is at all times a prefix of what masking the whole text gives, whatever the
// cuts into events and reads; at the end it equals that; and the event that says it again, whole, says just that, its log-probabilities too.

const file = { filename: 'a.mp3', type: 'audio/mpeg', bytes: 1 };
function routeOf(): Route {
  const route = recognise('POST', '/v1/audio/transcriptions');
  const asked = parseJson(JSON.stringify({ file, model: 'm', stream: 'true' }));
  return route.dialect.request(route, asked).answers ?? route;
}

const event = (type: string, body: object): string => `event: ${type}\ndata: ${JSON.stringify({ type, ...body })}\n\n`;
const logprobs = (tokens: readonly string[]): object[] =>
  tokens.map((token) => ({ token, logprob: -1, bytes: [...Buffer.from(token)] }));

interface Seen {
  readonly joined: string;
  readonly whole: string | undefined;
  readonly tokens: string;
  readonly wholeTokens: string;
}

function read(stream: string): Seen {
  let joined = '';
  let whole: string | undefined;
  let tokens = '';
  let wholeTokens = '';
  for (const [, data] of stream.matchAll(/^data: (\{.*\})$/gm)) {
    const root = parseJson(data ?? '');
    const spelled = (root.get('logprobs')?.items ?? []).map((one) => one.get('token')?.text ?? '').join('');
    if (root.get('type')?.text === 'transcript.text.delta') {
      joined += root.get('delta')?.text ?? '';
      tokens += spelled;
    } else {
      whole = root.get('text')?.text;
      wholeTokens += spelled;
    }
  }
  return { joined, whole, tokens, wholeTokens };
}

test('a transcript is a prefix of its mask at all times, and what says it whole says that mask', () => {
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), cuts, fc.boolean(), (pieces, sizes, scored) => {
      const text = pieces.join('');
      const events = [
        ...pieces.map((delta) =>
          event('transcript.text.delta', { delta, ...(scored && { logprobs: logprobs([delta]) }) }),
        ),
        event('transcript.text.done', {
          text,
          ...(scored && { logprobs: logprobs(pieces) }),
          usage: { type: 'tokens', input_tokens: 3, output_tokens: 4, total_tokens: 7 },
        }),
      ];
      const expected = maskedWhole(text, 'text', 'cut');
      for (const reads of readsOf(events, sizes)) {
        const stream = maskedStream(routeOf(), sse);
        for (const some of reads) {
          stream.data(some);
          const { joined, whole, tokens } = read(stream.left);
          expect(expected.startsWith(joined)).toBe(true);
          expect(expected.startsWith(tokens)).toBe(true);
          if (whole !== undefined) expect(whole).toBe(expected);
        }
        stream.end();
        const seen = read(stream.left);
        expect(seen).toEqual({
          joined: expected,
          whole: expected,
          tokens: scored ? expected : '',
          wholeTokens: scored ? expected : '',
        });
        expect(stream.record['delta'] ?? '').toBe(expected);
        expect(stream.record['done.text'] ?? '').toBe(expected);
        expect(stream.usage).toEqual({ input: 3, output: 4 });
      }
    }),
    { numRuns: 150 },
  );
});
