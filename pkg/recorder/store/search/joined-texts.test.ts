import { describe, expect, test } from '@jest/globals';
import { cpuMs } from '../../../../test/support/cost.ts';
import type { AuditEvent } from '../../../core/index.ts';
import { sessionEvents, sessionId, testChain } from '../../testing/chains.ts';
import { foldWords } from './fold-words.ts';
import { JoinedTexts, textsOfBlock } from './joined-texts.ts';
import { readSessionLine } from './session-lines.ts';
import type { SessionLine } from './session-lines.ts';

const session = sessionId(1);
const chain = testChain();
const lineOf = (text: string, lane = 'a', direction: 'request' | 'response' = 'response'): SessionLine => {
  const line = chain
    .lines([{ type: 'segment', session, direction, lane, text, at: 1 }])
    .toString()
    .trim();
  return readSessionLine(line) as SessionLine;
};

function wordsOf(pieces: readonly string[]): ReadonlySet<string> {
  const joined = new JoinedTexts();
  const texts = pieces.map((piece) => joined.add(lineOf(piece)));
  return new Set(foldWords([...texts, joined.rest()]));
}

describe('words of a text in pieces', () => {
  test('are all those of the text, wherever it is cut, and those of the pieces', () => {
    const text = 'The project falcon: café, cafe\u0301 हिन्दी 東京都 𠮷野家 x2-y \u{10fffd}cut ﾊﾟｽﾜｰﾄﾞ 서울, end';
    for (let one = 1; one < text.length; one++)
      for (let other = one; other < text.length; other += 5) {
        const pieces = [text.slice(0, one), text.slice(one, other), text.slice(other)];
        const words = wordsOf(pieces);
        for (const word of foldWords([text]))
          expect({ pieces, word, found: words.has(word) }).toMatchObject({ found: true });
        for (const piece of pieces.filter((some) => some.isWellFormed()))
          for (const word of foldWords([piece]))
            expect({ pieces, word, found: words.has(word) }).toMatchObject({ found: true });
      }
  });

  test('are found over two seams between parts of the record that are read from the last on', () => {
    const parts = [['The pro'], ['ject'], [' fal', 'con hun'], ['ter'], ['2', '. end']].map((pieces) => {
      const joined = new JoinedTexts();
      return { joined, said: pieces.map((piece) => joined.add(lineOf(piece))) };
    });
    const texts = parts.flatMap(({ said, joined }) => [...said, joined.rest()]);
    let later: JoinedTexts | undefined;
    for (const { joined } of parts.toReversed()) {
      if (later !== undefined) texts.push(joined.followedBy(later));
      later = joined;
    }
    expect(foldWords(texts)).toEqual(expect.arrayContaining(['the', 'project', 'falcon', 'hunter2', 'end']));
    expect(foldWords(texts)).not.toContain('conhunter2');
  });

  test('of a lane and a direction are joined with no others', () => {
    const joined = new JoinedTexts();
    const texts = [lineOf('fal'), lineOf('blue', 'b'), lineOf('con', 'a', 'request'), lineOf('cony')].map((line) =>
      joined.add(line),
    );
    expect(foldWords([...texts, joined.rest()]).toSorted()).toEqual(['blue', 'con', 'cony', 'fal', 'falcony']);
  });

  test('cost as much as the text is long, however small the pieces and long the words', () => {
    const pieces = Array.from({ length: 40_000 }, (_, n) => lineOf('abc'.slice(n % 2)));
    let length = 0;
    const ms = cpuMs(() => {
      const joined = new JoinedTexts();
      length = 0;
      for (const piece of pieces) length += joined.add(piece).length;
    });
    expect(length).toBeLessThan(1_000_000);
    expect(ms).toBeLessThan(2_000);
  });

  test('are kept of a bounded number of lanes, and what is kept is counted', () => {
    const joined = new JoinedTexts();
    const letters = 'abcdefghijklmnop'.repeat(256);
    const out: string[] = [];
    for (let n = 0; n < 3_000; n++) {
      out.push(joined.add(lineOf(letters, `l${n}`)));
      // One that is heard of all the time is none of those that are given up.
      if (n % 500 === 0) joined.add(lineOf(n === 0 ? 'kes' : 't', 'often'));
    }
    expect(joined.held).toBeGreaterThan(1_000 * letters.length);
    expect(joined.held).toBeLessThan(1_100 * 3 * letters.length);
    expect(out.join('\n').length).toBeGreaterThan(1_900 * letters.length);
    expect(foldWords([joined.add(lineOf('rel ', 'often'))])).toContain('kestttttrel');
    const later = new JoinedTexts();
    for (let n = 0; n < 1_024; n++) later.add(lineOf('x', `other${n}`));
    joined.followedBy(later);
    expect(joined.held).toBeLessThan(20_000);
  });

  test('of lanes that are given up one by one are as many as of all', () => {
    const joined = new JoinedTexts();
    const texts = Array.from({ length: 5_000 }, (_, n) => joined.add(lineOf(`word${n}`, `l${n}`)));
    const words = new Set(foldWords([...texts, joined.rest()]));
    expect(words.size).toBe(5_000);
    expect(joined.held).toBeLessThan(1_024 * 40);
  });

  test('of a block are those that are whole in it', () => {
    const start = sessionEvents({ id: session, ask: 'who' })[0];
    if (start === undefined) throw new Error('no start');
    const lines = chain.lines([
      start,
      { type: 'segment', session, direction: 'response', lane: 'a', text: 'a fal', at: 1 },
      { type: 'segment', session, direction: 'response', lane: 'a', text: 'con hun', at: 1 },
    ]);
    const [[id, text] = []] = textsOfBlock(lines.toString());
    expect(id).toBe(session);
    expect(foldWords([text ?? ''])).toEqual(expect.arrayContaining(['a', 'fal', 'con', 'falcon']));
    expect(foldWords([text ?? ''])).not.toContain('hun');
  });

  test('of a block are none that the whole session does not have, wherever a block begins', () => {
    const long = 'abc'.repeat(2_000);
    const said = [
      'a kes',
      'tr',
      'el x',
      `${long}`,
      'yz',
      'ab',
      ' fal',
      'con',
      '2 \ud842',
      '\udfb7def g',
      'h',
      'i. end',
      ' ',
    ];
    const segments = said.map((text): AuditEvent => ({
      type: 'segment',
      session,
      direction: 'response',
      lane: 'a',
      text,
      at: 1,
    }));
    const start = sessionEvents({ id: session, ask: 'who' })[0];
    const whole = [...(start === undefined ? [] : [start]), ...segments];
    const lines = chain.lines(whole).toString().trimEnd().split('\n');
    const all = new JoinedTexts();
    const read = lines.map((line) => readSessionLine(line) as SessionLine);
    const words = new Set(foldWords([...read.map((line) => all.add(line)), all.rest()]));
    expect(words.has('kestrel')).toBe(true);
    let found = 0;
    for (let from = 0; from < lines.length; from++)
      for (let to = from + 1; to <= lines.length; to++) {
        const [[, text = ''] = []] = textsOfBlock(lines.slice(from, to).join('\n'));
        const drawn = foldWords([text]);
        found += drawn.length;
        expect({ from, to, not: drawn.filter((word) => !words.has(word)) }).toEqual({ from, to, not: [] });
      }
    expect(found).toBeGreaterThan(100);
  });
});
