import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { found } from './brute-force.ts';
import { creditCard } from './credit-card.ts';

/** Digits with a check digit of Luhn's at the end. */
function withCheckDigit(digits: string): string {
  let sum = 0;
  Array.from(digits)
    .reverse()
    .forEach((digit, index) => {
      const weighed = index % 2 === 0 ? Number(digit) * 2 : Number(digit);
      sum += weighed > 9 ? weighed - 9 : weighed;
    });
  return digits + String((10 - (sum % 10)) % 10);
}

const visa = fc
  .array(fc.integer({ min: 0, max: 9 }), { minLength: 14, maxLength: 14 })
  .map((digits) => withCheckDigit(`4${digits.join('')}`));

describe('CreditCard', () => {
  test.each([
    ['Visa', '4111111111111111'],
    ['Visa in fours', '4111 1111 1111 1111'],
    ['Visa with hyphens', '4111-1111-1111-1111'],
    ['Visa of 13 digits', '4222222222222'],
    ['Visa of 19 digits', '4000000000000000006'],
    ['Mastercard', '5555 5555 5555 4444'],
    ['Mastercard of the second range', '2223003122003222'],
    ['American Express', '3782 822463 10005'],
    ['American Express in one piece', '371449635398431'],
    ['Discover', '6011-1111-1111-1117'],
    ['Diners Club', '3056 930902 5904'],
    ['Diners Club 36', '36227206271667'],
    ['JCB', '3530111333300000'],
    ['UnionPay', '6200000000000005'],
    ['Maestro', '6759649826438453'],
    ['Mir', '2200 0000 0000 0004'],
    ['every digit apart', '4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1'],
    ['mixed separators', '4111 1111-1111 1111'],
    ['two spaces', '4111  1111  1111  1111'],
    ['an exponent', '4.111111111111111e15'],
    ['an exponent with a sign', '4.111111111111111E+15'],
    ['an exponent and an odd point', '41111111.11111111e8'],
    ['an exponent below zero', '411111111111111100.0e-2'],
    ['dots', '4111.1111.1111.1111'],
    ['slashes', '4111/1111/1111/1111'],
    ['underscores', '4111_1111_1111_1111'],
    ['tabs', '4111\t1111\t1111\t1111'],
    ['lines', '4111\n1111\n1111\n1111'],
    ['lines of Windows', '4111\r\n1111\r\n1111\r\n1111'],
    ['groups in bold', '4111** **1111** **1111** **1111'],
    ['spaced hyphens', '4111 - 1111 - 1111 - 1111'],
    ['NUL between digits', [...'4111111111111111'].join('\u0000')],
    ['dots between digits', [...'4111111111111111'].join('.')],
    ['American Express with dots', '3782.822463.10005'],
    ['Diners Club with dots', '3056.930902.5904'],
    ['Visa of 19 digits with dots', '4000.0000.0000.0000.006'],
  ])('finds %s', (_what, number) => {
    expect(found(creditCard, `Card: ${number}.`)).toEqual([number]);
    expect(found(creditCard, number)).toEqual([number]);
  });

  test.each([
    ['an order number before', '20231 4111 1111 1111 1111', '4111 1111 1111 1111'],
    ['an order number and a hyphen before', '1234-4111111111111111', '4111111111111111'],
    ['an amount after', '4111 1111 1111 1111 99.50', '4111 1111 1111 1111'],
    ['numbers on both sides', '7 4111111111111111 12/29 123', '4111111111111111'],
    ['a word glued to it', 'VISA4111111111111111exp12/29', '4111111111111111'],
    ['JSON around it', '{"pan":"4111111111111111"}', '4111111111111111'],
    ['markdown around it', '**4111 1111 1111 1111**', '4111 1111 1111 1111'],
    ['a number sign', '#4111111111111111', '4111111111111111'],
    ['an expiry on the next line', '4111\n1111\n1111\n1111\n12/29', '4111\n1111\n1111\n1111'],
    ['another card on the next line', '4111111111111111\n1234567', '4111111111111111'],
  ])('finds a card with %s', (_what, text, number) => {
    expect(found(creditCard, text)).toEqual([number]);
  });

  test('finds each of several cards in one run of digits and spaces', () => {
    expect(found(creditCard, '4111 1111 1111 1111, 5555555555554444')).toEqual([
      '4111 1111 1111 1111',
      '5555555555554444',
    ]);
  });

  test('finds two cards side by side', () => {
    expect(found(creditCard, 'x 41111111111111115555555555554444 y')).toEqual(['4111111111111111', '5555555555554444']);
  });

  test('one of a hundred long identifiers at most looks like two cards', () => {
    let state = 7;
    const digit = (): number => {
      state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
      return (state >> 16) % 10;
    };
    const hits = Array.from({ length: 1_000 }, () => Array.from({ length: 32 }, digit).join('')).filter(
      (id) => found(creditCard, id).length > 0,
    );
    expect(hits.length).toBeLessThan(10);
  });

  test.each([
    ['a wrong check digit', '4111 1111 1111 1112'],
    ['a network that nobody runs', '9111111111111111'],
    ['a length that the network does not issue', '41111111111111'],
    ['digits glued before', '94111111111111111'],
    ['digits glued after', '41111111111111112345678'],
    ['a fraction', '0.4111111111111111'],
    ['a UUID', '550e8400-e29b-41d4-a716-446655440000'],
    ['a hash', 'da39a3ee5e6b4b0d3255bfef95601890afd80709'],
    ['a hash with the digits of a card in it', 'ab4111111111111111cd'],
    ['a time in milliseconds', '1700000000000'],
    ['a time in nanoseconds', '1700000000000000000'],
    ['an IMEI', '356938035643809'],
    ['an ISBN', '978-3-16-148410-0'],
    ['two-digit numbers', '41 11 11 11 11 11 11 11'],
    ['a column of numbers', '1200\n4111\n1111\n1111\n1111\n1300'],
    ['a row of a table', '4111\t1111\t1111\t1111\t1234'],
    ['a matrix', '4\t1\t1\t1\t1\t1\t1\t1\t1\t1\t1\t1\t1\t1\t1\t1\t2\t2\t2\t2\t2'],
    ['a path of dates', '4111/11/11/11/11/11/11'],
    ['an IP-like number', '4.1.1.1 and 41.11.11.11 and 4111.111.111.111.111'],
    ['another exponent', '4.111111111111111e14 4.111111111111111e16 4.111111111111111e-15'],
    ['a part of a longer number with an exponent', '14.111111111111111e15 x4.111111111111111e15 4.111111111111111e15f'],
    ['round numbers', '4e15 5.1e15 4.25e15'],
    ['a version', '4.11.1111.1111-1111'],
    ['two cards of which one is none', '41111111111111114111111111111112'],
    ['three cards in a row', '4111111111111111'.repeat(3)],
    ['a telephone number', '+49 170 1234567 89'],
    ['dates', '2024-11-21 2024-11-22'],
  ])('leaves %s', (_what, text) => {
    expect(found(creditCard, text)).toEqual([]);
  });

  test('finds any Visa number in any grouping, between any words', () => {
    const grouped = fc
      .tuple(visa, fc.constantFrom('', ' ', '-'))
      .map(([digits, separator]) => (digits.match(/.{1,4}/g) ?? []).join(separator));
    const word = fc.constantFrom('', 'x ', 'no. 17 ', '12-', '(', 'ref: ');
    fc.assert(
      fc.property(grouped, word, fc.constantFrom('', '.', ' 12', '-3', ')', '\n'), (number, before, after) => {
        expect(found(creditCard, before + number + after).some((one) => one.includes(number))).toBe(true);
      }),
      { numRuns: 150 },
    );
  });

  test('one digit changed is no card', () => {
    fc.assert(
      fc.property(visa, fc.integer({ min: 0, max: 15 }), fc.integer({ min: 1, max: 9 }), (number, at, by) => {
        const digit = (Number(number[at]) + by) % 10;
        const changed = number.slice(0, at) + String(digit) + number.slice(at + 1);
        expect(found(creditCard, changed)).toEqual([]);
      }),
      { numRuns: 100 },
    );
  });
});
