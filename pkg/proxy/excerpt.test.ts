import { describe, expect, test } from '@jest/globals';
import { AnswerExcerpt } from './answer-excerpt.ts';
import { FoundPlaces, excerptOf, longestExcerpt, sealedExcerpt } from './excerpt.ts';

const garden = 'Our garden club meets on Sunday. '.repeat(400);
const inText = (text: string, what = 'falcon', id = 'messages[0].content', rule = 'p/r') => {
  const places = new FoundPlaces();
  places.add(rule, () => ({ id, text, at: text.indexOf(what) }));
  return places;
};
const content = (text: string, at = 0) => ({ id: `messages[${at}].content`, text });

describe('an excerpt', () => {
  test('of little is all of it', () => {
    expect(excerptOf([content('about falcon'), content('and more', 1)], inText('about falcon'))).toBe(
      'messages[0].content: about falcon\nmessages[1].content: and more\n',
    );
  });

  test.each<[string, string]>([
    ['the beginning', `send falcon ${garden}`],
    ['the middle', `${garden} send falcon ${garden}`],
    ['the end', `${garden} send falcon`],
  ])('of much begins with what was found in %s of a text', (_where, text) => {
    const excerpt = excerptOf([content(text), content(garden, 1)], inText(text));
    expect(excerpt.length).toBeLessThanOrEqual(longestExcerpt);
    expect(excerpt.slice(0, 300)).toMatch(/^found in messages\[0\]\.content: .*send falcon/);
    expect(excerpt).toContain(`of ${text.length + garden.length} characters:\n`);
  });

  test('shows the beginning and the end of each text, and says how long it is', () => {
    const long = `first words ${garden} last words`;
    const excerpt = excerptOf([content('delete everything now'), content(long, 1)], new FoundPlaces());
    expect(excerpt).toContain('messages[0].content: delete everything now\n');
    expect(excerpt).toMatch(/messages\[1\]\.content: first words .* … 13\d+ characters in all … .* last words\n/);
    expect(excerpt.length).toBeLessThanOrEqual(longestExcerpt);
  });

  test('no text takes the room of the others, however many or long they are', () => {
    const many = [...Array(5_000).keys()].map((at) =>
      content(at === 0 ? 'the first' : at === 4_999 ? 'the last' : garden, at),
    );
    const excerpt = excerptOf(many, inText(`${garden}falcon`, 'falcon', 'x'.repeat(5_000)));
    expect(excerpt.length).toBeLessThanOrEqual(longestExcerpt);
    for (const what of ['falcon', 'the first', 'the last', ' texts left out ']) expect(excerpt).toContain(what);
  });

  test('each rule that holds is shown before what another finds again, and what is not shown is counted', () => {
    const places = new FoundPlaces();
    const text = `${'falcon '.repeat(2_000)}${garden}eagle`;
    for (let at = 0; at < 2_000; at++) places.add('p/falcon', () => ({ id: 'a', text, at: at * 7 }));
    places.add('p/eagle', () => ({ id: 'a', text, at: text.indexOf('eagle') }));
    expect(excerptOf([{ id: 'a', text }], places)).toMatch(/found in a: .*eagle\n… and in 19\d\d more places\n/s);
  });

  test('of 256 rules is within its bound', () => {
    const places = new FoundPlaces();
    for (let at = 0; at < 256; at++) places.add(`p/${at}`, () => ({ id: 'a', text: garden, at: at * 40 }));
    expect(excerptOf([{ id: 'a', text: garden }], places).length).toBeLessThanOrEqual(longestExcerpt);
  });
});

describe('an excerpt of an answer', () => {
  /** The text in pieces of so many characters; what was found is said with the one in which `saidAt` stands. */
  const gathered = (text: string, size: number, at: number, saidAt: number): string => {
    const excerpt = new AnswerExcerpt();
    let said = false;
    for (let from = 0; from <= text.length; from += size) {
      if (!said && from + size > saidAt) excerpt.found('p/r', 'choices[0]', at);
      said ||= from + size > saidAt;
      excerpt.record('choices[0]', text.slice(from, from + size));
    }
    return excerpt.text();
  };

  test.each([1, 7, 100, 5_000, 50_000])('shows what was found, recorded in pieces of %i', (size) => {
    const text = `${garden}lay off 400 people; write to [secret]${garden}`;
    const at = text.indexOf('[secret]');
    for (const saidAt of [0, at - 1_000, at, at + 4_000]) {
      const excerpt = gathered(text, size, at, saidAt);
      expect(excerpt.length).toBeLessThanOrEqual(longestExcerpt);
      expect(excerpt).toMatch(/^found in choices\[0\]: …[^\n]*lay off 400 people; write to \[secret\]Our/);
      expect(excerpt).toContain(`of ${text.length} characters:\nOur garden`);
    }
  });

  test('of little is all of it, and of another lane is not mixed up', () => {
    const excerpt = new AnswerExcerpt();
    excerpt.found('p/r', 'b', 3);
    excerpt.record('a', 'one ');
    excerpt.record('b', 'two');
    expect(excerpt.text()).toBe('one two');
    excerpt.record('a', garden);
    excerpt.record('b', ' three');
    expect(excerpt.text()).toMatch(/^found in b: two three\nof /);
  });
});

describe('where no text stands in clear', () => {
  test('approvers read where texts are and how long, of any number of them', () => {
    expect(sealedExcerpt([{ id: 'messages[0].content', length: 27 }])).toMatch(
      /^The texts are sealed .*\nmessages\[0\]\.content: 27 characters$/,
    );
    const many = sealedExcerpt(Array.from({ length: 5_000 }, (_, at) => ({ id: 'x'.repeat(200) + at, length: at })));
    expect(many.length).toBeLessThanOrEqual(longestExcerpt);
    expect(many).toMatch(/\n…$/);
  });

  test('of an answer alike, whatever was found in it and wherever', () => {
    const excerpt = new AnswerExcerpt(true);
    excerpt.record('a', 'send fal');
    excerpt.found('p/r', 'a', 5);
    excerpt.record('a', `con ${garden}`);
    excerpt.found('p/r', 'a', undefined);
    excerpt.record('b', 'more');
    expect(excerpt.text()).not.toMatch(/fal|con |garden|more/);
    expect(excerpt.text()).toContain(`\na: ${'send falcon '.length + garden.length} characters\nb: 4 characters`);
  });
});
