import { expect, test } from '@jest/globals';
import type { ScanRule } from '../core/index.ts';
import { compileScanner } from '../detect/index.ts';
import type { View } from '../detect/index.ts';
import { recognise, sse } from '../dialect/index.ts';
import { StreamAnswer } from './answer-stream.ts';
import { CleanTexts } from './clean-texts.ts';
import { Departure } from './departure.ts';
import type { ResponseViews } from './runtime.ts';

/**
 * `audit.content: Full`: wherever a stream is cut, what is sealed is the text but for the model's own credential, what is recorded is its mask,
 * and neither lags behind the other at the end.
 */
const route = recognise('POST', '/v1/chat/completions');
const rule = (index: number, match: Partial<ScanRule['match']>): ScanRule => ({
  index,
  id: `test/rule-${index}`,
  label: `label-${index}`,
  on: 'Response',
  action: 'Mask',
  enforce: true,
  match: { detectors: [], patterns: [], words: [], ...match },
  fields: [],
  replacement: { style: 'Label' },
});
const credential = 'key-01234';
const scanner = compileScanner(
  [rule(0, { detectors: ['Email'] }), rule(1, { patterns: [{ pattern: credential, maxLength: credential.length }] })],
  { hashKey: new Uint8Array(32) },
);
const view = (...replace: number[]): View =>
  scanner.view({
    replace: Uint8Array.from([0, 1], (at) => (replace.includes(at) ? 1 : 0)),
    stop: new Uint8Array(2),
    note: new Uint8Array(2),
  });

/** @param seen what is masked for the caller: the record masks both, the sealed text the credential alone. */
function views(...seen: number[]): ResponseViews {
  const [act, record] = [view(...seen), view(0, 1)];
  return {
    act,
    record,
    pair: scanner.pair(act, record),
    sealed: view(1),
    clean: new CleanTexts(),
    cleanRecord: new CleanTexts(),
    cleanReadings: new CleanTexts(),
    hiding: Uint8Array.of(1, 1),
    guarded: true,
    same: seen.length === 2,
  };
}

const frame = (content: string, finish: string | null = null): string =>
  `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content }, finish_reason: finish }] })}\n\n`;
const contents = (sse: string): string =>
  [...sse.matchAll(/"content":("(?:[^"\\]|\\.)*")/g)].map((found) => JSON.parse(found[1] ?? '""') as string).join('');

interface Kept {
  readonly shown: string;
  readonly recorded: string;
  readonly sealed: string;
}

function stream(pieces: readonly string[], views: ResponseViews, whole: Kept): Kept {
  const departure = new Departure();
  const options = { route, framing: sse, views, stops: false, dropUsage: false, observes: false };
  const answer = new StreamAnswer({ ...options, onHits: () => undefined }, departure);
  const kept = { shown: '', recorded: '', sealed: '' };
  for (const read of [...pieces.map((piece) => frame(piece)), frame('', 'stop'), 'data: [DONE]\n\n']) {
    answer.data(Buffer.from(read));
    const left = departure.take((_lane, text, raw) => {
      kept.recorded += text;
      kept.sealed += raw ?? text;
    });
    kept.shown += contents(left);
    // At all times each is a prefix of what it is to be.
    if (!whole.shown.startsWith(kept.shown) || !whole.sealed.startsWith(kept.sealed)) return kept;
    if (!whole.recorded.startsWith(kept.recorded)) return kept;
  }
  return kept;
}

const text = `to bob@corp.test, ${credential} or ${credential}@b.io.`;
const sealed = view(1).mask(text, 'text', 'complete').text;
const recorded = view(0, 1).mask(text, 'text', 'complete').text;

test('the text of these tests holds what each view hides', () => {
  expect(sealed).toBe('to bob@corp.test, [label-1] or [label-1]@b.io.');
  expect(recorded).not.toContain('@');
});

test.each([
  ['a caller who sees what the record does', [0, 1]],
  ['a caller who sees all but the credential', [1]],
])('any two cuts, for %s', (_who, seen) => {
  const whole = { shown: view(...seen).mask(text, 'text', 'complete').text, recorded, sealed };
  const of = views(...seen);
  const wrong: unknown[] = [];
  for (let a = 0; a < text.length; a++)
    for (let b = a; b < text.length; b++) {
      const kept = stream([text.slice(0, a), text.slice(a, b), text.slice(b)], of, whole);
      if (JSON.stringify(kept) !== JSON.stringify(whole)) wrong.push({ a, b, ...kept });
    }
  expect(wrong.slice(0, 3)).toEqual([]);
  expect(stream([...text], of, whole)).toEqual(whole);
});
