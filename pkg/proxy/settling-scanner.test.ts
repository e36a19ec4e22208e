import { expect, test } from '@jest/globals';
import type { ScanRule } from '../core/index.ts';
import { compileScanner } from '../detect/index.ts';
import { SettlingScanner } from './settling-scanner.ts';

/** What leaves of a text with a silence behind its first part, under a rule that hides cards so. */
function left(replacement: ScanRule['replacement'], parts: readonly string[]): string {
  const rule: ScanRule = {
    ...{ index: 0, id: 'p/rule', label: 'hidden', on: 'Response', action: 'Mask', enforce: true, fields: [] },
    ...{ match: { detectors: ['CreditCard'], patterns: [], words: [] }, replacement },
  };
  const scanner = compileScanner([rule], { hashKey: new Uint8Array(32) });
  const [one, none] = [Uint8Array.of(1), Uint8Array.of(0)];
  const view = scanner.view({ replace: one, stop: none, note: none });
  const settling = new SettlingScanner(view.open('text'));
  let text = '';
  let taken = '';
  parts.forEach((part, at) => {
    text += part;
    settling.push(part);
    if (at === parts.length - 1) return settling.end('complete');
    const own = view.open('text');
    own.push(text);
    own.end('cut');
    settling.settle(own, 0);
    taken += settling.take(settling.decided);
  });
  return taken + settling.take(settling.decided);
}

const styles: readonly ScanRule['replacement'][] = [
  { style: 'Label' },
  { style: 'Constant', text: '[hidden]' },
  { style: 'Partial', keep: 4 },
];

test.each(styles)('behind the beginning of a value that has left, %j says nothing of its end', (style) => {
  const cut = left(style, ['it is 4111 11', '11 1111 1111, and no more. ']);
  expect(cut).toBe('it is 4111 11[hidden], and no more. ');
  const encoded = Buffer.from('card 4111 1111 1111 1111 of ana').toString('base64');
  const hidden = left(style, [encoded.slice(0, 8), `${encoded.slice(8)} and no more. `]);
  expect(hidden).toBe(`${encoded.slice(0, 8)}[hidden]IG9mIGFuYQ== and no more. `);
});

test('a value of which nothing has left keeps what its rule shows of it', () => {
  const said = left({ style: 'Partial', keep: 4 }, ['it is ', '4111 1111 1111 1111, and no more. ']);
  expect(said).toBe('it is ****1111, and no more. ');
});
