import { isIP } from 'node:net';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { found } from './brute-force.ts';
import { ipAddress } from './ip-address.ts';

describe('IpAddress', () => {
  test('finds one of version 6 in emphasis, and none in a name', () => {
    expect(found(ipAddress, '_2001:db8::1_ and __fe80::1__')).toEqual(['2001:db8::1', 'fe80::1']);
    expect(found(ipAddress, 'x_fe80::1 fe80::1_x')).toEqual([]);
  });

  test.each([
    '192.0.2.1',
    '10.0.0.255',
    '255.255.255.255',
    '8.8.8.8',
    '2001:0db8:85a3:0000:0000:8a2e:0370:7334',
    '2001:db8::1',
    '2001:db8::',
    '::1',
    'fe80::1',
    'fe80::1ff:fe23:4567:890a',
    'FE80::1FF:FE23:4567:890A',
    '2606:4700:4700::1111',
    '1:2:3:4:5:6:7:8',
    '::ffff:192.0.2.1',
    '64:ff9b::192.0.2.33',
    '2001:db8:1:2:3:4:192.0.2.33',
    '2001:db8:1:2:3:4:5::',
    '::2001:db8:1:2:3:4:5',
  ])('finds %s', (address) => {
    expect(found(ipAddress, address)).toEqual([address]);
    expect(found(ipAddress, `from ${address}, then`)).toEqual([address]);
    expect(found(ipAddress, `ip=${address};"${address}"`)).toEqual([address, address]);
  });

  test.each([
    ['a port', 'http://192.0.2.1:8080/x', '192.0.2.1'],
    ['brackets and a port', 'http://[2001:db8::1]:443/', '2001:db8::1'],
    ['a prefix length', '10.0.0.0/8', '10.0.0.0'],
    ['a name that ends in hex letters', 'node:2001:db8::1', '2001:db8::1'],
    ['a zone', 'fe80::1%eth0', 'fe80::1'],
    ['a full stop', 'It is 192.0.2.1.', '192.0.2.1'],
    ['a range', '192.0.2.1-192.0.2.9', '192.0.2.1|192.0.2.9'],
    ['a word before', 'version 203.0.113.7', '203.0.113.7'],
  ])('finds one with %s', (_what, text, addresses) => {
    expect(found(ipAddress, text)).toEqual(addresses.split('|'));
  });

  test.each([
    ['a number of five parts', '1.2.3.4.5'],
    ['an object identifier', '1.3.6.1.4.1.311.21.20'],
    ['an octet above 255', '256.1.1.1 and 118.0.5993.70'],
    ['a version with a v', 'v1.2.3.4'],
    ['a version in words', 'version 1.2.3.4, Section 3.1.2.4'],
    ['a number of three parts', '10.0.1'],
    ['a number that goes on', '1.2.3.4567'],
    ['a time', '12:34:56 and 2024-11-21T12:34:56'],
    ['a hardware address', 'aa:bb:cc:dd:ee:ff'],
    ['a fingerprint', '16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48'],
    ['scopes in code', 'std::vector<a::b> face::bad Foo::Bar add::fee'],
    ['slices', 'list[::1] x[1::2] y[::2] f()[::1]'],
    ['two compressions', '2001::db8::1'],
    ['nine groups', '1:2:3:4:5:6:7:8:9'],
    ['a ratio', '16:9'],
    ['three colons', '2001:::1'],
    ['a group of five', '2001:db80a::1'],
  ])('leaves %s', (_what, text) => {
    expect(found(ipAddress, text)).toEqual([]);
  });

  test('finds every IPv4 address', () => {
    fc.assert(
      fc.property(fc.ipV4(), (address) => {
        expect(found(ipAddress, `(${address})`)).toEqual([address]);
      }),
      { numRuns: 100 },
    );
  });

  test('what it finds are addresses, and every IPv6 address with a long group is found', () => {
    fc.assert(
      fc.property(fc.ipV6(), (address) => {
        for (const one of found(ipAddress, ` ${address} `)) expect(isIP(one)).not.toBe(0);
        const telling = /\d/.test(address) && /[0-9a-fA-F]{3}/.test(address.replace(/\d+(\.\d+){3}$/, ''));
        if (isIP(address) === 6 && telling) expect(found(ipAddress, ` ${address} `)).toEqual([address]);
      }),
      { numRuns: 150 },
    );
  });
});
