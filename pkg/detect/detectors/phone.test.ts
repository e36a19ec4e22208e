import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { found, saidOf } from './brute-force.ts';
import { phone } from './phone.ts';

describe('Phone', () => {
  test.each([
    '+49 30 12345678',
    '+49 (0)30 12345678',
    '+49-170-1234567',
    '+4915112345678',
    '+44 20 7946 0958',
    '+33 1 23 45 67 89',
    '+1 202-555-0123',
    '+1 (202) 555-0123',
    '+12025550123',
    '+7 495 123-45-67',
    '+86 138 0013 8000',
    '+351 912 345 678',
    '+372 501 2345',
    '+971 50 123 4567',
    '+ 49 30 12345678',
    '0049 30 12345678',
    '(202) 555-0123',
    '(202)555-0123',
    '202-555-0123',
    '202.555.0123',
    '202 555 0123',
    '1-800-555-0199',
    '030 12345678',
    '030/1234567',
    '0171-1234567',
    '(030) 1234567',
    '01 23 45 67 89',
    '06.12.34.56.78',
    '020 7946 0958',
    '07911 123456',
    '06-12345678',
    '03-1234-5678',
    '090-1234-5678',
  ])('finds %s', (number) => {
    expect(found(phone, number)).toEqual([number]);
    expect(found(phone, `Reach me: ${number}, thanks.`)).toEqual([number]);
    expect(found(phone, `{"phone":"${number}"}`)).toEqual([number]);
  });

  test.each([
    ['tel: 0301234567', '0301234567'],
    ['Phone 2025550123.', '2025550123'],
    ['call me at 2025550123', '2025550123'],
    ['Telefon: 8 800 555 3535', '8 800 555 3535'],
    ['mobile=491701234567', '491701234567'],
    ['WhatsApp +49 170 1234567', '+49 170 1234567'],
    ['Ana,+12025550147,ana@x.org', '+12025550147'],
    ['1007,+49 30 12345678,41', '+49 30 12345678'],
    ['7,202-555-0147,9', '202-555-0147'],
    ['Hotline: 202-555-0147 24/7', '202-555-0147'],
    ['my line +1 202-555-0147 9am-5pm', '+1 202-555-0147'],
    ['room 12 202-555-0147', '202-555-0147'],
    ['202-555-0147x123', '202-555-0147'],
    ['+49 30 12345678X9', '+49 30 12345678'],
  ])('finds the number in %s', (text, number) => {
    expect(found(phone, text)).toEqual([number]);
  });

  test.each([
    ['an ISO date', '2024-11-21 and 2024-11-21T10:20:30+0100'],
    ['a day-first date', '01.02.2024, 01-02-2024, 01/02/2024 and 05 11 2024'],
    ['a date and a time', '01.02.2024 12:30:45'],
    ['a price', '1,234,567.89 EUR or $202.555.012'],
    ['a count with a sign', '+10 000 000 users, +12%'],
    ['a version', '10.0.19045.3693'],
    ['an IP address', '192.168.100.200 and 255.255.255.0'],
    ['a card number', '4111 1111 1111 1111'],
    ['a social security number', '123-45-6789'],
    ['an ISBN', '978-3-16-148410-0 and 0-306-40615-2'],
    ['a UUID', '550e8400-e29b-41d4-a716-446655440000'],
    ['an order number', 'order 302-555-1234, SKU 0123-456789'],
    ['bare digits', '2025550123 and 0301234567'],
    ['a time stamp', '1700000000 1700000000000'],
    ['a formula', 'x+12345678901 = y'],
    ['an area or exchange that cannot be', '102-555-0123 202-155-0123'],
    ['a country code that nobody has', '+21012345678 +99912345678'],
    ['base64', 'abc+4930123456789def/0123456789'],
    ['coordinates', '52.5200066, 13.4049540'],
    ['a telling word inside of another', 'recall 12345678 hotel 12345678'],
    ['a date after a telling word', 'call 2024-11-21'],
    ['a range of years', '1990-2000-2010'],
    ['a list of numbers', '10 20 30 40 50 60 70'],
    ['a percentage', '0123 456789%'],
    ['a list with commas', '0123 456789,50 and 1,0123 456789'],
    ['a sum with commas', '1,202 555 0123,50'],
  ])('leaves %s', (_what, text) => {
    expect(found(phone, text)).toEqual([]);
  });

  test.each([
    ['+49 30 12345678', 'Certain Format'],
    ['+49 (0)30 12345678', 'Certain Format'],
    ['+39 06 69812345', 'Certain Format'],
    ['+1 202-555-0123', 'Certain Format'],
    // No area of North America begins so; a number of Iceland is shorter.
    ['+354 12345678901', 'Likely Spelling'],
    ['0049 30 12345678', 'Likely Spelling'],
    ['00354 12345678901', 'Likely Spelling'],
    ['reach me at 0033 1 23 45 67 89 12 h', 'Likely Spelling'],
    ['reach me at 0033 1 23 45 67 89 (12 h)', 'Likely Spelling'],
    ['reach me at +33 1 23 45 67 89 12 h', 'Certain Format'],
    ['order 0033 1 23 45 67 89 12', 'Possible OtherWord'],
    ['lot 202-555-0123', 'Likely Spelling'],
    ['invoice - number - 202-555-0123', 'Likely Spelling'],
    ['order 202-555-0123', 'Possible OtherWord'],
    ['Order no.: 202-555-0123', 'Possible OtherWord'],
    ['before 202-555-0123', 'Likely Spelling'],
  ])('says of %s: %s', (text, said) => {
    expect(saidOf(phone, text)).toBe(said);
  });

  test('finds each number of a row', () => {
    expect(found(phone, '202-555-0147,202-555-0148')).toEqual(['202-555-0147', '202-555-0148']);
    expect(found(phone, '+12025550147,+12025550148')).toEqual(['+12025550147', '+12025550148']);
  });

  test('finds any E.164 number of a German subscriber, however it is grouped', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 100_000_000, max: 9_999_999_999 }),
        fc.array(fc.constantFrom('', '', ' ', '-', '.', '/'), { minLength: 10, maxLength: 10 }),
        (subscriber, separators) => {
          const digits = Array.from(String(subscriber), (digit, index) => digit + (separators[index] ?? '')).join('');
          const number = `+49 ${digits}`.replace(/\D+$/, '');
          expect(found(phone, `to ${number} now`)).toEqual([number]);
        },
      ),
      { numRuns: 150 },
    );
  });
});
