import { describe, expect, test } from '@jest/globals';
import { clientAddress, trustedProxies } from './client-address.ts';

const proxies = trustedProxies(['10.1.0.0/16', '192.0.2.7', '2001:db8::/32']);
if (proxies === undefined) throw new Error('they are ranges');
const from = (remoteAddress: string | undefined, forwarded?: string | string[]): string =>
  clientAddress(
    {
      socket: { remoteAddress },
      headers: forwarded === undefined ? {} : { 'x-forwarded-for': forwarded as string },
    },
    proxies,
  );

describe('a request comes from', () => {
  test.each<[string, string | undefined, string | undefined, string]>([
    [
      'its connection, whatever it says, where that is no trusted proxy’s',
      '203.0.113.9',
      '198.51.100.1',
      '203.0.113.9',
    ],
    ['whom a trusted proxy names', '10.1.0.1', '203.0.113.9', '203.0.113.9'],
    ['whom one names that maps IPv4 into IPv6', '::ffff:10.1.0.1', '203.0.113.9', '203.0.113.9'],
    ['whom one of IPv6 names', '2001:db8::1', '2001:DB9:0::1', '2001:db9::1'],
    ['the last before the trusted ones, not what stands left of it', '10.1.0.1', '1.1.1.1, 203.0.113.9', '203.0.113.9'],
    ['whom the first of two proxies names', '10.1.0.1', '1.1.1.1, 203.0.113.9, 192.0.2.7', '203.0.113.9'],
    ['not left of one who is not trusted', '10.1.0.1', '203.0.113.9, 198.51.100.1, 192.0.2.7', '198.51.100.1'],
    ['the proxy, where it names nobody', '10.1.0.1', undefined, '10.1.0.1'],
    ['the proxy, where it names nothing', '10.1.0.1', '', '10.1.0.1'],
    ['the farthest proxy, where all are trusted', '10.1.0.1', '10.1.0.3, 10.1.0.2', '10.1.0.3'],
    ['the proxy, where what it names is no address', '10.1.0.1', '203.0.113.9, unknown', '10.1.0.1'],
    [
      'the proxy that was vouched for, before what is no address',
      '10.1.0.1',
      '203.0.113.9, <x>, 192.0.2.7',
      '192.0.2.7',
    ],
    ['nobody by a zone', '10.1.0.1', 'fe80::1%eth0', '10.1.0.1'],
    ['nobody by a name', '10.1.0.1', 'localhost', '10.1.0.1'],
    ['nobody by an entry of two addresses', '10.1.0.1', '203.0.113.9 198.51.100.1', '10.1.0.1'],
    ['an address with a port', '10.1.0.1', '203.0.113.9:4711', '203.0.113.9'],
    ['an address in brackets', '10.1.0.1', '[2001:db9::1]:4711', '2001:db9::1'],
    ['nobody where its connection is gone', undefined, '203.0.113.9', ''],
  ])('%s', (_what, peer, forwarded, expected) => {
    expect(from(peer, forwarded)).toBe(expected);
  });

  test('whom the last line of several names', () => {
    expect(from('10.1.0.1', ['1.1.1.1', '203.0.113.9'])).toBe('203.0.113.9');
  });

  test('its connection, where nobody is trusted', () => {
    const nobody = trustedProxies([]);
    if (nobody === undefined) throw new Error('none are fine');
    const request = { socket: { remoteAddress: '10.1.0.1' }, headers: { 'x-forwarded-for': '203.0.113.9' } };
    expect(clientAddress(request, nobody)).toBe('10.1.0.1');
  });
});

test.each([
  '0.0.0.0/0',
  '::/0',
  '10.0.0.0/33',
  '2001:db8::/129',
  '10.0.0.0/08',
  '10.0.0.0/',
  '10.0.0',
  '10.0.0.0-10.0.0.9',
  '::ffff:10.0.0.0/104',
  'fe80::1%eth0',
  'ingress.example.com',
  '*',
  '',
])('no range is %j', (text) => {
  expect(trustedProxies(['10.0.0.1', text])).toBeUndefined();
});
