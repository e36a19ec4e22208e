import { describe, expect, test } from '@jest/globals';
import { RefusedError } from '../core/index.ts';
import { takeCredentials } from './index.ts';

const token = 'eyJhbGciOiJFUzI1NiJ9.e30.c2ln';
const headers = ['x-api-key', 'api-key', 'x-goog-api-key'] as const;

function refusal(given: Parameters<typeof takeCredentials>[0]): { code: string; detail: string | undefined } {
  try {
    takeCredentials(given);
  } catch (error) {
    if (error instanceof RefusedError) return { code: error.code, detail: error.detail };
  }
  throw new Error('it was not refused');
}

describe('taking the credential off the headers', () => {
  test.each(['Bearer', 'bearer', 'BEARER', 'Bearer  '])('Authorization with scheme "%s"', (scheme) => {
    expect(takeCredentials({ authorization: `${scheme} ${token}` })).toEqual({ token, certificate: undefined });
  });

  test.each(headers)('%s', (name) => {
    expect(takeCredentials({ [name]: token }).token).toBe(token);
  });

  test('none', () => {
    expect(takeCredentials({})).toEqual({ token: undefined, certificate: undefined });
  });

  test('the certificate of the connection goes along', () => {
    const certificate = new Uint8Array([1]);
    expect(takeCredentials({}, certificate).certificate).toBe(certificate);
  });

  test('the same value everywhere is one credential', () => {
    const all = Object.fromEntries(headers.map((name) => [name, token]));
    expect(takeCredentials({ authorization: `Bearer ${token}`, ...all }).token).toBe(token);
  });

  test.each(headers)('another value in %s is a conflict', (name) => {
    const given = { authorization: `Bearer ${token}`, [name]: 'sk-other' };
    expect(refusal(given)).toEqual({ code: 'conflicting_credentials', detail: name });
  });

  test('two keys that differ in case only are a conflict', () => {
    expect(refusal({ 'x-api-key': 'Key', 'api-key': 'key' }).code).toBe('conflicting_credentials');
  });

  test.each([
    'Basic YW5hOnBhc3M=',
    'Digest username="ana"',
    'Bearer',
    'Bearer ',
    '',
    token,
    `Bearer ${token} ${token}`,
    `Bearer ${token}, Bearer ${token}`,
    `Bearer "${token}"`,
    `Bearer ${token}\u00e9`,
    `Bearer\t${token}`,
    ` Bearer ${token}`,
    `BearerX ${token}`,
    'Bearer ====',
  ])('Authorization "%s" is refused', (authorization) => {
    expect(refusal({ authorization })).toEqual({ code: 'token_invalid', detail: 'authorization' });
  });

  test.each([`${token}, ${token}`, '', ' ', 'Bearer x', 'a b'])('x-api-key "%s" is refused', (value) => {
    expect(refusal({ 'x-api-key': value })).toEqual({ code: 'token_invalid', detail: 'x-api-key' });
  });

  test('the error holds nothing of the credential', () => {
    try {
      takeCredentials({ authorization: 'Basic c2VjcmV0' });
    } catch (error) {
      expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain('c2VjcmV0');
    }
    expect.assertions(1);
  });
});
