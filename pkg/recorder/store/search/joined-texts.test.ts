import { describe, expect, test } from '@jest/globals';
import { cpuMs } from '../../../../test/support/cost.ts';
import { sessionId, testChain } from '../../testing/chains.ts';
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

  test('of a block are those that are whole in it', () => {
    const lines = chain.lines([
      { type: 'segment', session, direction: 'response', lane: 'a', text: 'a fal', at: 1 },
      { type: 'segment', session, direction: 'response', lane: 'a', text: 'con hun', at: 1 },
    ]);
    expect([...textsOfBlock(lines.toString())].map(([id, text]) => [id, foldWords([text])])).toEqual([
      [session, ['a', 'fal', 'con', 'falcon']],
    ]);
  });
});
