import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parseJson } from '../../base/index.ts';
import type { JsonNode } from '../../base/index.ts';
import { recognise } from '../index.ts';
import { captions } from './captions.ts';

const srt = '1\n00:00:00,000 --> 00:00:01,500\nHello\nthere.\n\n2\n00:00:01,500 --> 00:00:03,000\nAna.\n';
const vtt =
  'WEBVTT - a title\n\nNOTE by ana\n\nSTYLE\n::cue { color: red }\n\nfirst\n00:00.000 --> 00:01.500 align:start\nHello\n\n00:01.500 --> 01:00:03.000\nAna.\n';

const stringsOf = (node: JsonNode): readonly JsonNode[] =>
  node.kind === 'string' ? [node] : node.items.flatMap((item) => stringsOf(item));
const textsOf = (root: JsonNode, name: string): string[] => root.get(name)?.items.map((one) => one.text) ?? [];
const read = (
  source: string,
): { cues: string[]; names: string[]; settings: string[]; notes: string[]; text: string | undefined } => {
  const root = parseJson(captions.answer(source).text);
  return {
    cues: root.get('segments')?.items.map((one) => one.get('text')?.text ?? '') ?? [],
    names: textsOf(root, 'names'),
    settings: textsOf(root, 'settings'),
    notes: textsOf(root, 'notes'),
    text: root.get('text')?.text,
  };
};
const none = { names: [], settings: [], notes: [] };
const edited = (source: string, change: (text: string) => string): string => {
  const one = captions.answer(source);
  const nodes = stringsOf(parseJson(one.text));
  return one.edited(
    nodes.map((node) => ({ start: node.start, end: node.end, text: JSON.stringify(change(node.text)) })),
  );
};

describe('captions', () => {
  it('are their cues and what stands between them', () => {
    expect(read(srt)).toEqual({ cues: ['Hello\nthere.', 'Ana.'], ...none, text: undefined });
    expect(read(vtt)).toEqual({
      cues: ['Hello', 'Ana.'],
      names: ['first'],
      settings: [' align:start'],
      notes: ['WEBVTT - a title', 'NOTE by ana', 'STYLE\n::cue { color: red }'],
      text: undefined,
    });
    expect(read(srt.replaceAll('\n', '\r\n')).cues).toEqual(['Hello\r\nthere.', 'Ana.']);
  });

  it.each([
    ['a text', 'Hello, Ana.\n'],
    ['nothing', ''],
    ['numbers alone', '1\n\n2\n'],
    ['an arrow in a cue', srt.replace('Hello', 'a --> b')],
    ['a cue that is not divided from the next', srt.replace('\n\n2\n', '\n2\n')],
    ['a text before the first cue', `Ana's card\n\n${srt}`],
    ['more lines than any film has', srt + '\n'.repeat(60_000)],
    ['other times', srt.replaceAll(',', ';')],
  ])('of which %s is made are one text', (_, source) =>
    expect(read(source)).toEqual({ cues: [], ...none, text: source }),
  );

  it('keep their marks, whatever is put in place of their texts', () => {
    expect(edited(srt, () => '[gone]')).toBe(
      '1\n00:00:00,000 --> 00:00:01,500\n[gone]\n\n2\n00:00:01,500 --> 00:00:03,000\n[gone]\n',
    );
    const hostile = edited(srt, () => '\n\n3\n00:00:05,000 --> 00:00:06,000\n\nmore\n');
    expect(read(hostile).cues.length).toBe(2);
    expect(edited('Hello', () => 'a\n\nb')).toBe('a\n\nb');
    // A comment keeps its lines, what a cue is called stays in one.
    const said = 'WEBVTT\n\nNOTE by ana\nand bob\n\nana\n00:00.000 --> 00:01.500 ana\nHello\n';
    expect(edited(said, (text) => text.replaceAll('ana', 'x\ny'))).toBe(
      'WEBVTT\n\nNOTE by x\ny\nand bob\n\nx y\n00:00.000 --> 00:01.500 x y\nHello\n',
    );
  });

  it('have names of cues, settings and comments that are read as one text each, and each by itself', () => {
    const route = recognise('POST', '/v1/audio/transcriptions');
    const said =
      'WEBVTT\n\nNOTE a\n\nNOTE b\n\n4111 1111\n00:00.000 --> 00:01.500 x\nHi\n\n1111 1111\n00:01.500 --> 00:02.000 y\nHo\n';
    const view = route.dialect.answer(route, parseJson(captions.answer(said).text), 200);
    expect(view.lanes).toEqual([]);
    expect(view.joined?.map(({ id, nodes, each }) => [id, nodes.map(({ text }) => text), each])).toEqual([
      ['segments', ['Hi', 'Ho'], undefined],
      ['names', ['4111 1111', '1111 1111'], true],
      ['settings', [' x', ' y'], true],
      ['notes', ['WEBVTT', 'NOTE a', 'NOTE b'], true],
    ]);
  });

  it('have every character in a string or in a mark', () => {
    const line = fc.constantFrom(
      'WEBVTT',
      'NOTE x',
      '1',
      '12',
      '4111111111111111',
      '00:00.000 --> 00:01.000',
      '00:00:00,000 --> 00:00:01,000 4111',
      'Hello',
      ' a',
      '-->',
      '',
    );
    fc.assert(
      fc.property(fc.array(line, { maxLength: 14 }), fc.constantFrom('\n', '\r\n', '\r'), (lines, end) => {
        const source = lines.join(end);
        const one = captions.answer(source);
        expect(one.edited([])).toBe(source);
        const left = edited(source, () => '');
        expect(left).not.toMatch(/Hello|4111|NOTE|a/);
      }),
      { numRuns: 3_000 },
    );
  });
});
