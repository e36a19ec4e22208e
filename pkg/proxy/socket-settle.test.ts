import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { maskedStream, maskedWhole, piece } from '../../test/support/masked-stream.ts';
import type { MaskedStream } from '../../test/support/masked-stream.ts';
import { keysLane } from './strange-keys.ts';
import { readSocketRecords, recogniseSocket, socketMessages, socketRecord } from '../dialect/index.ts';

// A WebSocket of which nobody knows when a text of its is whole: where the model is silent, what is held leaves as at a cut, and what follows is read
// together with it. So whoever waits for an answer before they ask on gets it, and no value passes by being cut by pauses.

const open = (): MaskedStream => maskedStream(recogniseSocket('/ws'), socketMessages);
const say = (stream: MaskedStream, text: string): void =>
  stream.data(socketRecord(0x81, Buffer.from(JSON.stringify({ text }))));
const recorded = ({ record }: MaskedStream): string =>
  Object.entries(record).find(([lane]) => lane !== keysLane)?.[1] ?? '';
const heard = (stream: MaskedStream): string[] =>
  readSocketRecords(Buffer.from(stream.left, 'latin1'))
    .filter(({ first }) => first === 0x81)
    .map(({ payload }) => (JSON.parse(payload.toString('utf8')) as { text: string }).text);
const spoken = (texts: readonly (string | undefined)[]): MaskedStream => {
  const stream = open();
  for (const text of texts)
    if (text === undefined) stream.settle();
    else say(stream, text);
  return stream;
};

const cards = ['4111 1111 1111 1111', '4222222222222', '5500-0000-0000-0004'];
/** As long as a card's longest, and what is read behind it: at a cut a card that may go on covers what follows. */
const more = ', dear friend, and there is more of it. ';
const digits = (text: string): number => text.replaceAll(/\D/g, '').length;

describe('silence of the model', () => {
  test('lets out what waited, as it came, where it is nothing', () => {
    const stream = spoken(['the order is 41']);
    expect(heard(stream)).toEqual([]);
    stream.settle();
    expect(heard(stream)).toEqual(['the order is 41']);
    expect(recorded(stream)).toBe('the order is 41');
    say(stream, ' or so');
    stream.settle();
    expect(heard(stream).join('')).toBe('the order is 41 or so');
  });

  test.each(cards)('in %s, wherever and as often as twice, lets less than half of it pass', (card) => {
    const text = `it is ${card}`;
    for (let first = 1; first <= text.length; first++)
      for (let second = first; second <= text.length; second++) {
        const last = `${text.slice(second)}${more}`;
        const stream = spoken([text.slice(0, first), undefined, text.slice(first, second), undefined, last, undefined]);
        const joined = heard(stream).join('');
        expect(heard(stream)).toHaveLength(3);
        expect(joined.endsWith(`[hidden]${more}`)).toBe(true);
        expect(joined.split('[hidden]')).toHaveLength(2);
        expect(digits(joined)).toBeLessThan(digits(card) / 2);
        expect(recorded(stream)).toBe(joined);
      }
  });

  test('after each character of a value lets less than half of it pass', () => {
    for (const card of cards) {
      const joined = heard(spoken([...[...`it is ${card}`].flatMap((one) => [one, undefined]), more, undefined])).join(
        '',
      );
      expect(joined.endsWith(`[hidden]${more}`)).toBe(true);
      expect(digits(joined)).toBeLessThan(digits(card) / 2);
    }
    const mail = heard(spoken([...[...'to ana@example.com'].flatMap((one) => [one, undefined]), more, undefined])).join(
      '',
    );
    expect(mail.endsWith(`[hidden]${more}`)).toBe(true);
    expect(mail).not.toContain('@example');
  });

  test('in a value that an encoding hides lets less than half of it pass', () => {
    const encoded = Buffer.from('card 4111 1111 1111 1111 of ana').toString('base64');
    for (let at = 1; at < encoded.length; at++) {
      const joined = heard(spoken([encoded.slice(0, at), undefined, `${encoded.slice(at)} `, undefined])).join('');
      const plain = joined.split('[hidden]').map((part) => Buffer.from(part, 'base64').toString('latin1'));
      expect(digits(plain[0] ?? '')).toBeLessThan(8);
      expect(joined).toContain('[hidden]');
    }
  });

  test('far into a long text is as at its beginning', () => {
    const [card = ''] = cards;
    for (const long of ['plain words '.repeat(10_000), `${'x'.repeat(70_000)} ${'plain words '.repeat(100)}`]) {
      const stream = spoken([long, undefined, `it is ${card.slice(0, 7)}`, undefined]);
      expect(heard(stream).join('').slice(long.length)).toBe(`it is ${card.slice(0, 7)}`);
      say(stream, card.slice(7) + more);
      stream.settle();
      expect(heard(stream).join('').slice(long.length)).toBe(`it is ${card.slice(0, 7)}[hidden]${more}`);
    }
  });

  test('where the beginning of one endless word is not kept lets nothing of it out, and more lets it', () => {
    const stream = spoken([`${'ab4111'.repeat(10_000)}`, undefined]);
    const before = heard(stream).join('').length;
    stream.settle();
    expect(heard(stream).join('')).toHaveLength(before);
    say(stream, ' and more. ');
    expect(heard(stream).join('')).toContain(' and more');
  });

  test.each([
    ['that begins as JSON does', `[speaker] ${'plain words '.repeat(4_000)}card 4111`],
    ['of one word', 'ab4111'.repeat(10_000)],
  ])('of a text %s, whose beginning is not kept, loses nothing of its end', (_what, text) => {
    const stream = spoken([text, undefined, undefined]);
    const before = heard(stream);
    expect(before).toHaveLength(1);
    expect(before.join('').length).toBeLessThan(text.length);
    stream.data(socketRecord(0x88, Buffer.from([0x03, 0xe8])));
    stream.end();
    expect(heard(stream)).toHaveLength(2);
    expect(heard(stream).join('')).toBe(text);
    expect(recorded(stream)).toBe(text);
  });

  test('behind many long texts reads the end of each once, in steps, and lets all of them out', () => {
    const stream = open();
    const text = `${'plain words '.repeat(2_500)}it is 4111 11`;
    const names = [...'abcdefghij'].flatMap((one) => [...'klmnopqrst'].map((other) => one + other));
    for (const name of names) stream.data(socketRecord(0x81, Buffer.from(JSON.stringify({ [name]: text }))));
    const steps = stream.settle(65_536);
    for (const read of steps) expect(read).toBeLessThan(65_536 + 32_768);
    expect(steps.reduce((sum, read) => sum + read, 0)).toBe(names.length * text.length);
    const said = readSocketRecords(Buffer.from(stream.left, 'latin1')).map(
      ({ payload }) => JSON.parse(payload.toString('utf8')) as Record<string, string>,
    );
    for (const name of names) expect(said.map((one) => one[name] ?? '').join('')).toBe(text);
    expect(stream.settle(65_536)).toEqual([]);
  });

  test('does not read an end again that cannot be given out, until more comes', () => {
    const stream = spoken([`[speaker] ${'plain words '.repeat(2_000)}card 4111`]);
    expect(stream.settle()).toHaveLength(1);
    const word = spoken(['ab4111'.repeat(4_000)]);
    expect(word.settle().length).toBeLessThanOrEqual(1);
    expect(word.settle()).toEqual([]);
    say(stream, ' 11');
    expect(stream.settle()).toHaveLength(1);
  });

  test('anywhere holds nothing back, and leaves no finding whole', () => {
    const pieces = fc.array(fc.option(piece, { nil: undefined, freq: 3 }), { maxLength: 40 });
    fc.assert(
      fc.property(pieces, (texts) => {
        const stream = open();
        let said = 0;
        for (const text of [...texts, undefined]) {
          if (text !== undefined) {
            say(stream, text);
            said++;
            continue;
          }
          stream.settle();
          expect(heard(stream).length).toBeGreaterThanOrEqual(said);
        }
        const joined = heard(stream).join('');
        expect(maskedWhole(joined, 'text', 'complete')).toBe(joined);
        expect(recorded(stream)).toBe(joined);
      }),
      { numRuns: 400 },
    );
  });

  test('changes nothing of a text in which nothing is hidden', () => {
    const words = fc.array(fc.option(fc.constantFrom(' plain', ' words', '. ', ' é', '😀'), { nil: undefined }), {
      maxLength: 40,
    });
    fc.assert(
      fc.property(words, (texts) => {
        const said = texts.filter((text) => text !== undefined);
        expect(heard(spoken([...texts, undefined]))).toEqual(said);
      }),
      { numRuns: 200 },
    );
  });

  test('says nothing of a text whose end the protocol tells', () => {
    const stream = maskedStream(recogniseSocket('/v1/realtime'), socketMessages);
    const delta = {
      type: 'response.output_text.delta',
      item_id: 'a',
      response_id: 'r',
      content_index: 0,
      delta: '4111',
    };
    stream.data(socketRecord(0x81, Buffer.from(JSON.stringify(delta))));
    stream.settle();
    expect(stream.left).toBe('');
  });
});
