import { describe, expect, test } from '@jest/globals';
import { inspect } from 'node:util';
import { Secret } from './secret.ts';

// Letters that a fingerprint, which is hexadecimal, cannot hold by chance.
const text = 'sk-live-wxyz-vwxyz';
const secret = new Secret(text);

describe('a secret', () => {
  test.each<[string, () => string]>([
    ['String()', () => String(secret)],
    ['a template', () => `${secret}`],
    ['concatenation', () => '' + (secret as unknown as string)],
    ['JSON', () => JSON.stringify({ nested: [secret] })],
    ['inspect', () => inspect({ nested: [secret] }, { depth: 9, showHidden: true })],
    ['Object.entries', () => JSON.stringify(Object.entries(secret))],
    ['a spread', () => JSON.stringify({ ...secret })],
    ['a structured clone', () => inspect(structuredClone({ ...secret }), { showHidden: true })],
    ['an error cause', () => inspect(new Error('x', { cause: secret }))],
    ['join', () => [secret].join()],
    ['its fingerprint', () => secret.fingerprint()],
  ])('does not show through %s', (_, print) => {
    expect(print()).not.toContain(text);
    expect(print()).not.toContain('wxyz');
  });

  test('says [redacted] where a value is expected', () => {
    expect([`${secret}`, JSON.stringify(secret), inspect(secret)]).toEqual([
      '[redacted]',
      '"[redacted]"',
      '[redacted]',
    ]);
  });

  test('gives its text only when asked by name', () => {
    expect(secret.reveal()).toBe(text);
    expect(secret.length).toBe(text.length);
  });

  test('has a fingerprint that is equal for equal texts and differs for others', () => {
    expect(new Secret(text).fingerprint()).toBe(secret.fingerprint());
    expect(new Secret(`${text}x`).fingerprint()).not.toBe(secret.fingerprint());
    expect(secret.fingerprint()).toMatch(/^[0-9a-f]{8}$/);
  });
});
