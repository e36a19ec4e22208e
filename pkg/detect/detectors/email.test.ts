import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { found } from './brute-force.ts';
import { fold } from '../fold/index.ts';
import { email } from './email.ts';

describe('Email', () => {
  test.each([
    ['plain', 'ana@example.com'],
    ['dots and a plus', 'ana.maria+lists@example.co.uk'],
    ['an apostrophe', "o'brien@example.ie"],
    ['digits and underscores', '_a1_2@123.example.org'],
    ['hyphens', 'first-last@my-host.example'],
    ['a long top level', 'x@y.photography'],
    ['punycode', 'ana@xn--mnchen-3ya.de'],
    ['a punycode top level', 'ana@example.xn--p1ai'],
    ['capitals', 'ANA@EXAMPLE.COM'],
    ['one letter', 'a@b.co'],
  ])('finds one with %s', (_what, address) => {
    expect(found(email, address)).toEqual([address]);
    expect(found(email, `Write to ${address}.`)).toEqual([address]);
    expect(found(email, `<mailto:${address}>, "${address}"`)).toEqual([address, address]);
    expect(found(email, `email=${address}&x=1 '${address}'`)).toEqual([address, address]);
  });

  test.each([
    ['dots before it', 'Hm...ana@example.com', 'ana@example.com'],
    ['a hyphen before it', '-ana@example.com', 'ana@example.com'],
    ['a sentence end glued to the next', 'ana@example.com-', 'ana@example.com'],
    ['a port after it', 'git@example.com:22', 'git@example.com'],
    ['user information in a URL', 'https://user:ana@example.com/path', 'ana@example.com'],
    ['markdown', '**ana@example.com**', 'ana@example.com'],
    ['a quoted local part', 'x "ana maria"@example.com y', '"ana maria"@example.com'],
    ['a quoted word', '("ana"@example.com)', '"ana"@example.com'],
    ['a digit after the top level', 'ana@example.com9', 'ana@example.com'],
  ])('finds one with %s', (_what, text, address) => {
    expect(found(email, text)).toEqual([address]);
  });

  test('covers the last 64 characters of a longer local part', () => {
    expect(found(email, `${'a'.repeat(100)}@example.com`)).toEqual([`${'a'.repeat(64)}@example.com`]);
    for (const sign of ['-', '.', "'"])
      for (const padding of [26, 27, 40])
        expect(found(email, `${`x${sign}`.repeat(padding)}ana.lopez@acme.org`).join()).toMatch(/ana\.lopez@acme\.org$/);
  });

  test('finds look-alikes and accents as what they fold to', () => {
    expect(found(email, fold('Mail: аnа＠exаmple。com').text)).toEqual(['ana@example.com']);
    expect(found(email, fold('jürgen@münchen.de').text)).toEqual(['jurgen@munchen.de']);
  });

  test.each([
    ['a handle', '@ana and @example.com'],
    ['a decorator', '@app.route("/x") def a(): pass'],
    ['no top level', 'root@localhost'],
    ['a version', 'left-pad@1.3.0 and @types/node@26.6.6'],
    ['a domain that begins with a dot', 'ana@.example.com'],
    ['a doubled dot in the domain', 'ana@example..com'],
    ['labels that begin or end with a hyphen', 'ana@-example.com ana@example-.com'],
    ['a dot before the at sign', 'ana.@example.com'],
    ['a top level of one letter', 'ana@example.c'],
    ['an image of two densities', 'logo@2x.png icon@3x.webp'],
    ['a price', '3 @ 4.50'],
    ['spaces', 'ana @ example.com'],
    ['a quotation before it', '"ana maria" @example.com'],
    ['empty quotes', '""@example.com'],
  ])('leaves %s', (_what, text) => {
    expect(found(email, text)).toEqual([]);
  });

  test('finds any address of the grammar, wherever it stands', () => {
    const atom = fc.stringMatching(/^[a-zA-Z0-9_][a-zA-Z0-9_+-]{0,9}$/);
    const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?$/);
    const address = fc
      .tuple(
        fc.array(atom, { minLength: 1, maxLength: 4 }),
        fc.array(label, { minLength: 1, maxLength: 4 }),
        fc.stringMatching(/^[a-z]{2,12}$/),
      )
      .map(([local, labels, top]) => `${local.join('.')}@${labels.join('.')}.${top}`);
    fc.assert(
      fc.property(
        address,
        fc.constantFrom('', ' ', '<', '"', ',', 'x: '),
        fc.constantFrom('', ' ', '>', ', y'),
        (one, before, after) => {
          expect(found(email, before + one + after)).toEqual([one]);
        },
      ),
      { numRuns: 150 },
    );
  });
});
