import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { found } from './brute-force.ts';
import { macAddress } from './mac-address.ts';

describe('MacAddress', () => {
  test.each([
    '00:1a:2b:3c:4d:5e',
    '00-1A-2B-3C-4D-5E',
    'FF:FF:FF:FF:FF:FF',
    '001a.2b3c.4d5e',
    '00:1a:2b:ff:fe:3c:4d:5e',
    '00-1a-2b-ff-fe-3c-4d-5e',
  ])('finds %s', (address) => {
    expect(found(macAddress, address)).toEqual([address]);
    expect(found(macAddress, `ether ${address} txqueuelen`)).toEqual([address]);
    expect(found(macAddress, `{"mac":"${address}"}.`)).toEqual([address]);
  });

  test.each([
    ['mixed separators', '00:1a-2b:3c-4d:5e'],
    ['five pairs', '00:1a:2b:3c:4d'],
    ['seven pairs', '00:1a:2b:3c:4d:5e:6f'],
    ['a fingerprint', '16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48'],
    ['a time', '12:34:56'],
    ['a UUID', '550e8400-e29b-41d4-a716-446655440000'],
    ['an IPv6 address', '2001:0db8:85a3:0000:0000:8a2e:0370:7334'],
    ['a letter that is not hex', '00:1g:2b:3c:4d:5e'],
    ['a fourth Cisco group', '001a.2b3c.4d5e.6f70'],
    ['digits glued to it', '100:1a:2b:3c:4d:5e1'],
    ['twelve bare digits', '001a2b3c4d5e'],
    ['a decimal', '1234.5678'],
  ])('leaves %s', (_what, text) => {
    expect(found(macAddress, text)).toEqual([]);
  });

  test('finds any address in any of the three spellings', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[0-9a-fA-F]{12}$/), fc.constantFrom(':', '-', '.'), (digits, separator) => {
        const groups = digits.match(separator === '.' ? /.{4}/g : /../g) ?? [];
        const address = groups.join(separator);
        expect(found(macAddress, `at ${address}!`)).toEqual([address]);
      }),
      { numRuns: 150 },
    );
  });
});
