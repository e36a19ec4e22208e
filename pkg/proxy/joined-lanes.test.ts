import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { piece } from '../../test/support/masked-stream.ts';
import { applyEdits, parseJson } from '../base/index.ts';
import type { Lane } from '../dialect/index.ts';
import { joinLanes, laneEdits } from './joined-lanes.ts';

const lanesOf = (source: string): Lane[] =>
  parseJson(source).items.map((node): Lane => ({ id: 'a', kind: 'text', node }));

test('lanes of one id are one text, and others stay by themselves', () => {
  const [first, second, third] = parseJson('["x","y","z"]').items.map((node) => ({ kind: 'text' as const, node }));
  const joined = joinLanes([
    { id: 'a', ...first! },
    { id: 'b', ...second! },
    { id: 'a', ...third! },
  ]);
  expect(joined.map(({ id, text, nodes }) => [id, text, nodes.length])).toEqual([
    ['a', 'xz', 2],
    ['b', 'y', 1],
  ]);
});

test('a finding over several values stands where it begins', () => {
  const source = '["Pay 4111 ","","1111 1111 11","11, please","."]';
  const [lane] = joinLanes(lanesOf(source));
  const edits = [{ start: 4, end: 23, text: '[hidden]' }];
  expect(applyEdits(source, laneEdits(lane!, { text: 'Pay [hidden], please.', edits }))).toBe(
    '["Pay [hidden]","","",", please","."]',
  );
});

test('whatever the cuts, the values join to the edited text', () => {
  const cuts = fc.record({
    pieces: fc.array(piece, { minLength: 1, maxLength: 12 }),
    marks: fc.array(fc.nat({ max: 60 }), { maxLength: 8 }),
  });
  fc.assert(
    fc.property(cuts, ({ pieces, marks }) => {
      const source = JSON.stringify(pieces);
      const [lane] = joinLanes(lanesOf(source));
      const whole = pieces.join('');
      const at = [...new Set(marks.filter((mark) => mark <= whole.length))].sort((a, b) => a - b);
      const edits = Array.from({ length: Math.floor(at.length / 2) }, (_, n) => ({
        start: at[2 * n]!,
        end: at[2 * n + 1]!,
        text: `<${n}>`,
      }));
      let text = '';
      let from = 0;
      for (const edit of edits) {
        text += whole.slice(from, edit.start) + edit.text;
        from = edit.end;
      }
      text += whole.slice(from);
      const left = parseJson(applyEdits(source, laneEdits(lane!, { text, edits })), { loneSurrogates: true });
      expect(left.items.map((node) => node.text).join('')).toBe(text);
    }),
  );
});
