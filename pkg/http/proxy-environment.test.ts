import { inspect } from 'node:util';
import { describe, expect, test } from '@jest/globals';
import { proxyAddress, proxyFromEnvironment } from './proxy-environment.ts';

const proxy = { host: 'proxy.internal', port: 3_128 };
const of = (environment: Record<string, string>, url = 'https://api.example.com/v1') =>
  proxyFromEnvironment(environment, new URL(url));

describe('the proxy of the environment', () => {
  test.each([
    [{}, undefined],
    [{ HTTPS_PROXY: '' }, undefined],
    [{ HTTPS_PROXY: 'http://proxy.internal:3128' }, proxy],
    [{ https_proxy: 'http://proxy.internal:3128/', HTTPS_PROXY: 'http://other:1' }, proxy],
    [{ HTTPS_PROXY: 'proxy.internal:3128' }, proxy],
    [{ HTTPS_PROXY: 'http://proxy.internal' }, { ...proxy, port: 80 }],
    [{ HTTPS_PROXY: 'http://[fd00::1]:3128' }, { ...proxy, host: 'fd00::1' }],
    [{ HTTP_PROXY: 'http://proxy.internal:3128' }, undefined],
  ])('%j', (environment, expected) => expect(of(environment)).toEqual(expected));

  test.each([
    'https://proxy.internal:3128',
    'http://name:100%@proxy.internal:3128/%',
    'socks5://proxy.internal',
    'http://',
  ])('%s is refused, without its words', (HTTPS_PROXY) => {
    let said = '';
    try {
      of({ HTTPS_PROXY });
    } catch (error) {
      said = String(error);
    }
    expect(said).toMatch(/^TypeError: (?:a proxy must be http:|name and password of a proxy must be)/);
    expect(said).not.toMatch(/100%|internal/);
  });

  test('may have a name and a password, which nothing prints', () => {
    const found = of({ HTTPS_PROXY: 'http://me:p%40ss%3A%C3%A9@proxy.internal:3128' });
    expect(found).toMatchObject(proxy);
    const basic = Buffer.from('me:p@ss:é').toString('base64');
    expect(found?.authorization?.reveal()).toBe(`Basic ${basic}`);
    expect(`${JSON.stringify(found)} ${inspect(found)}`).not.toMatch(new RegExp(`p@ss|p%40|${basic}`));
    expect(of({ HTTPS_PROXY: 'http://me@proxy.internal:3128' })?.authorization?.reveal()).toBe(
      `Basic ${Buffer.from('me:').toString('base64')}`,
    );
  });

  test('of a policy has none: many read it', () => {
    expect(proxyAddress('http://proxy.internal:3128')).toEqual(proxy);
    expect(() => proxyAddress('http://name:word@proxy.internal:3128')).toThrow(
      'a proxy must be http://HOST:PORT, without name and password',
    );
  });

  test('is for https alone', () => {
    expect(of({ HTTPS_PROXY: 'http://proxy.internal:3128' }, 'http://api.example.com')).toBeUndefined();
  });

  test.each([
    ['*', 'https://api.example.com', true],
    ['other.com, api.example.com', 'https://api.example.com', true],
    ['example.com', 'https://api.example.com', true],
    ['.example.com', 'https://API.example.com', true],
    ['*.example.com', 'https://api.example.com', true],
    ['ample.com', 'https://api.example.com', false],
    ['api.example.com:443', 'https://api.example.com', true],
    ['api.example.com:8443', 'https://api.example.com', false],
    ['api.example.com:8443', 'https://api.example.com:8443', true],
    ['10.0.0.1', 'https://10.0.0.1', true],
    ['fd00::1', 'https://[fd00::1]', true],
    ['[fd00::1]:443', 'https://[fd00::1]', true],
    ['', 'https://api.example.com', false],
  ])('NO_PROXY=%s for %s: %s', (NO_PROXY, url, straight) => {
    expect(of({ HTTPS_PROXY: 'http://proxy.internal:3128', NO_PROXY }, url)).toEqual(straight ? undefined : proxy);
  });
});
