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

const isApart = (before: string, text: string): boolean =>
  before !== '' && text !== '' && !/\s$/.test(before) && !goesOn(before, text);
/** White space, or the end of a sentence or a part of it. */
const goesOn = (before: string, text: string): boolean =>
  /^\s/.test(text) || (/^[.,;:!?)\]]+(?:\s|$)/.test(text) && !/\d$/.test(before));
/** Texts of segments as they are read: each may be a text of its own. */
const joinedApart = (texts: readonly string[]): string =>
  texts.reduce((all, text) => (isApart(all, text) ? `${all}\n${text}` : all + text), '');

/** What of a diarized transcript has come: in pieces, by segments, and whole. */
function readDiarized(stream: string): { readonly pieces: string; readonly segments: string; readonly whole: string } {
  const seen = { pieces: '', segments: '', whole: '' };
  for (const [, data] of stream.matchAll(/^data: (\{.*\})$/gm)) {
    const root = parseJson(data ?? '');
    const type = root.get('type')?.text;
    if (type === 'transcript.text.delta') seen.pieces += root.get('delta')?.text ?? '';
    else if (type === 'transcript.text.segment') seen.segments += root.get('text')?.text ?? '';
    else seen.whole += root.get('text')?.text ?? '';
  }
  return seen;
}

test('a diarized transcript is a prefix of its mask in pieces and by segments, over all who speak', () => {
  const segments = fc.array(fc.array(piece, { maxLength: 8 }), { maxLength: 8 });
  fc.assert(
    fc.property(segments, cuts, fc.boolean(), (spoken, sizes, told) => {
      const texts = spoken.map((pieces) => pieces.join(''));
      const events = spoken.flatMap((pieces, at) => [
        ...(told ? pieces.map((delta) => event('transcript.text.delta', { delta, segment_id: `seg_${at}` })) : []),
        event('transcript.text.segment', {
          ...{ id: `seg_${at}`, start: at, end: at + 0.5, speaker: at % 2 === 0 ? 'A' : 'B' },
          text: texts[at],
        }),
      ]);
      events.push(event('transcript.text.done', { text: texts.join(' ') }));
      const expected = maskedWhole(joinedApart(texts), 'text', 'cut');
      for (const reads of readsOf(events, sizes)) {
        const stream = maskedStream(routeOf(), sse);
        for (const some of reads) {
          stream.data(some);
          const { pieces, segments: said } = readDiarized(stream.left);
          expect(expected.startsWith(pieces)).toBe(true);
          expect(expected.startsWith(said)).toBe(true);
        }
        stream.end();
        expect(readDiarized(stream.left)).toEqual({
          pieces: told ? expected : '',
          segments: expected,
          whole: maskedWhole(texts.join(' '), 'text', 'cut'),
        });
        expect(stream.record['segment.text'] ?? '').toBe(expected);
      }
    }),
    { numRuns: 100 },
  );
});

test('a card that two speakers share does not pass, and events of words or segments are refused', () => {
  const segment = (id: string, text: string): string => event('transcript.text.segment', { id, text, speaker: id });
  const stream = maskedStream(routeOf(), sse);
  stream.data(Buffer.from(segment('a', 'my card is 4111 1111') + segment('b', '1111 1111, thank you')));
  stream.data(Buffer.from(event('transcript.text.done', { text: 'my card is 4111 1111 1111 1111, thank you' })));
  stream.end();
  expect(readDiarized(stream.left)).toMatchObject({
    segments: 'my card is [hidden], thank you',
    whole: 'my card is [hidden], thank you',
  });
  for (const field of ['segments', 'words', 'word_segments']) {
    const refused = maskedStream(routeOf(), sse);
    expect(() => refused.data(Buffer.from(event('transcript.text.segment', { text: 'a', [field]: [{}] })))).toThrow(
      expect.objectContaining({ code: 'response_uninspectable' }),
    );
  }
});
