import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { found } from './brute-force.ts';
import { usSsn } from './us-ssn.ts';

describe('UsSsn', () => {
  test.each([
    ['hyphens', 'my number is 123-45-6789.', '123-45-6789'],
    ['spaces', 'it is 123 45 6789', '123 45 6789'],
    ['bare digits after the word', 'SSN: 123456789', '123456789'],
    ['bare digits after the words', 'Social Security number 123456789', '123456789'],
    ['a word glued to it', 'ssn123-45-6789', '123-45-6789'],
    ['JSON', '{"ssn": "123456789"}', '123456789'],
    ['a number before it', 'row 12 123-45-6789', '123-45-6789'],
    ['parentheses', '(123-45-6789)', '123-45-6789'],
    ['emphasis', 'it is _123-45-6789_ or __no__', '123-45-6789'],
    ['an underscored name', 'employee_ssn=123456789', '123456789'],
  ])('finds one written with %s', (_what, text, number) => {
    expect(found(usSsn, text)).toEqual([number]);
  });

  test.each([
    ['area 000', '000-45-6789'],
    ['area 666', '666-45-6789'],
    ['areas from 900', '900-45-6789 987-65-4321'],
    ['group 00', '123-00-6789'],
    ['serial 0000', '123-45-0000'],
    ['mixed separators', '123-45 6789'],
    ['nine bare digits without a telling word', 'order 123456789'],
    ['a telephone number', '555-123-4567'],
    ['digits before', '9123-45-6789'],
    ['digits after', '123-45-67890'],
    ['a longer number', '1-123-45-6789'],
    ['a longer number after', '123-45-6789-0'],
    ['a row of numbers', '17 123 45 6789 12'],
    ['a date', '2024-11-21'],
    ['a UUID', '12345678-1234-1234-1234-123456789012'],
    ['a name that goes on', '123-45-6789_x and x__123-45-6789'],
    ['a part number', 'XJ123-45-6789'],
    ['too many digits after the word', 'SSN: 1234567890'],
  ])('leaves %s', (_what, text) => {
    expect(found(usSsn, text)).toEqual([]);
  });

  test('finds exactly what can have been assigned', () => {
    const part = (max: number) => fc.integer({ min: 0, max });
    fc.assert(
      fc.property(part(999), part(99), part(9999), fc.constantFrom('-', ' '), (area, group, serial, separator) => {
        const text = [
          String(area).padStart(3, '0'),
          String(group).padStart(2, '0'),
          String(serial).padStart(4, '0'),
        ].join(separator);
        const assigned = area > 0 && area !== 666 && area < 900 && group > 0 && serial > 0;
        expect(found(usSsn, `is ${text}!`)).toEqual(assigned ? [text] : []);
      }),
      { numRuns: 200 },
    );
  });
});
