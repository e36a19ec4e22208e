import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { ScanRule } from '../core/index.ts';
import { compileScanner } from '../detect/index.ts';
import type { MaskResult } from '../detect/index.ts';
import { threadCpuMs } from '../../test/support/cost.ts';
import { joinedText, maskJoined, maskJoinedNow } from './joined-text.ts';
import type { Asked } from './joined-text.ts';

const rule: ScanRule = {
  index: 0,
  id: 'test/rule',
  label: 'hidden',
  on: 'Response',
  action: 'Mask',
  enforce: true,
  match: { detectors: ['Email', 'CreditCard'], patterns: [], words: ['project falcon'] },
  fields: [],
  replacement: { style: 'Label' },
};
const scanner = compileScanner([rule], { hashKey: new Uint8Array(32) });
const view = scanner.view({ replace: Uint8Array.of(1), stop: Uint8Array.of(0), note: Uint8Array.of(0) });
const mask = ({ text, end }: Pick<Asked, 'text' | 'end'>): MaskResult => view.mask(text, 'text', end);
const masked = async (...pieces: string[]): Promise<readonly string[]> => (await maskJoined(pieces, mask)).pieces;

describe('a text in pieces', () => {
  it('is read as one, and what stands for what is hidden is in the first of its pieces', async () => {
    expect(await masked('Pay', '4111', '1111', '1111', '1111', 'now')).toEqual(['Pay', '[hidden]', '', '', '', 'now']);
    expect(await masked('Pay 4111 1111', ' 1111 1111 now')).toEqual(['Pay [hidden]', ' now']);
    expect(await masked('to ana.maria', '@example', '.com', 'today')).not.toContain('@example');
    expect(await masked('of project', 'falcon', 'today')).toEqual(['of [hidden]', '', 'today']);
    expect(await masked('of pro', 'ject fal', 'con today')).toEqual(['of [hidden]', '', ' today']);
    expect(await masked('plain', 'words', '')).toEqual(['plain', 'words', '']);
    expect(await masked()).toEqual([]);
  });

  it('keeps several findings apart', async () => {
    const pieces = await masked('a@example.com and b@example.com', 'or 4111 1111 1111', '1111, c@example.com');
    expect(pieces).toEqual(['[hidden] and [hidden]', 'or [hidden]', ', [hidden]']);
  });

  it('is told without spaces where clients join it so, with each finding in its place there', async () => {
    const close = await maskJoined(['x', 'project falcon, of pro', 'ject falcon'], mask, { as: 'close' });
    expect(close.pieces).toEqual(['x', '[hidden], of [hidden]', '']);
    expect(close.text).toBe('x[hidden], of [hidden]');
    expect(close.hits.map(({ start }) => start)).toEqual([1, 20]);
  });

  it('is read piece by piece as well where nobody says that it is one', async () => {
    const source = ['4111 1111 1111 1111', '5 to ana', '@example.com'];
    // Alone, the first is a card; with what follows it is none.
    expect((await maskJoined(source, mask)).pieces[0]).toBe('[hidden]');
    const each = await maskJoined(['x4111', ' 1111 1111 1111', 'b@example.com'], mask, { each: true });
    expect(each.pieces[2]).toBe('[hidden]');
    const some = ['ref 9', '4111 1111 1111 1111', 'x'];
    const read = await maskJoined(some, mask, { as: 'close', each: true });
    expect([read.pieces, read.hits.map(({ start, end }) => some.join('').slice(start, end))]).toEqual([
      ['ref 9', '[hidden]', 'x'],
      ['4111 1111 1111 1111'],
    ]);
    expect(maskJoinedNow(some, mask, { as: 'close', each: true })).toEqual(read);
    // The half of a card at the end of a piece that others follow is no cut.
    const halves = await maskJoined(['ref 4111 1111 111', 'or'], mask, { end: 'cut', each: true });
    expect(halves.pieces).toEqual(['ref 4111 1111 111', 'or']);
  });

  it('costs what its length does, however many pieces and findings it has', async () => {
    const pieces = (count: number): string[] =>
      Array.from({ length: count }, (_, at) => (at % 5 === 0 ? 'a@example.com' : 'word'));
    const cost = async (count: number): Promise<number> => {
      const source = pieces(count);
      const from = threadCpuMs();
      await maskJoined(source, mask);
      return threadCpuMs() - from;
    };
    await cost(2_000);
    const [short, long] = [await cost(8_000), await cost(64_000)];
    // Eight times as long; a product of the two would be 64 times as much.
    expect(long / short).toBeLessThan(24);
  });

  it('has nothing left in it that a rule hides, however it is cut', async () => {
    const piece = fc.constantFrom(
      'Pay',
      ' 4111',
      '4111',
      '1111',
      ' 1111',
      'ana',
      '@example',
      '.com',
      ' project',
      'falcon',
      'fal',
      'con',
      ' ',
      '',
    );
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 14 }), async (source) => {
        const { pieces, text, hits } = await maskJoined(source, mask);
        expect(pieces.length).toBe(source.length);
        expect(view.mask(joinedText(pieces), 'text', 'complete').text).toBe(text);
        expect(view.mask(pieces.join(''), 'text', 'complete').edits).toEqual([]);
        for (const hit of hits) expect(hit.start).toBeLessThanOrEqual(joinedText(source).length);
      }),
      { numRuns: 500 },
    );
  });
});
