import { expect, test } from '@jest/globals';
import { limitStoreFlags, readFlags, readLimitStore } from './index.ts';

const faultsOf = (url: string, plain: Parameters<typeof readLimitStore>[1]): readonly string[] => {
  const flags = readFlags(limitStoreFlags, [`--limit-store=${url}`], {});
  if (flags === undefined) throw new Error('no flags were read');
  readLimitStore(flags, plain);
  return flags.faults;
};

test.each<[string, Parameters<typeof readLimitStore>[1], boolean]>([
  ['rediss://valkey.cache.svc:6379', 'never', true],
  ['rediss://valkey.cache.svc:6379/0', 'on loopback', true],
  ['redis://valkey.cache.svc:6379', 'never', false],
  ['redis://valkey.cache.svc:6379', 'on loopback', false],
  ['redis://127.0.0.1:6379', 'never', false],
  ['redis://127.0.0.1:6379', 'on loopback', true],
  ['redis://[::1]:6379/1', 'on loopback', true],
  ['redis://localhost', 'on loopback', true],
  ['redis://localhost.evil.example', 'on loopback', false],
  ['redis://localhost:1@evil.example', 'on loopback', false],
  ['rediss://user:password@valkey:6379', 'never', false],
  ['http://valkey:6379', 'never', false],
])('the address %s, plain %s: %s', (url, plain, taken) => {
  expect(faultsOf(url, plain)).toEqual(taken ? [] : [expect.stringMatching(/^--limit-store must be a rediss:\/\//)]);
});
