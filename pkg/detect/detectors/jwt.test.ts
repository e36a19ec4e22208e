import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { found } from './brute-force.ts';
import { jwt } from './jwt.ts';

const encode = (text: string): string => Buffer.from(text).toString('base64url');
const payload = encode('{"sub":"ana","exp":1700000000}');
const signature = 'SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c';

describe('Jwt', () => {
  test.each([
    ['alg first', '{"alg":"HS256","typ":"JWT"}'],
    ['typ first', '{"typ":"JWT","alg":"RS256"}'],
    ['kid first', '{"kid":"1","alg":"ES256"}'],
    ['a thumbprint first', '{"x5t#S256":"abc","alg":"ES256"}'],
    ['encryption first', '{"enc":"A256GCM","alg":"dir"}'],
    ['a space after the brace', '{ "alg": "HS256" }'],
    ['lines and indents', '{\n  "alg": "HS256"\n}'],
    ['tabs', '{\n\t"typ": "JWT"\n}'],
    ['carriage returns', '{\r\n "alg": "none"}'],
  ])('finds a token whose header has %s', (_what, header) => {
    const token = `${encode(header)}.${payload}.${signature}`;
    expect(found(jwt, token)).toEqual([token]);
    expect(found(jwt, `Authorization: Bearer ${token}\n`)).toEqual([token]);
    expect(found(jwt, `{"token":"${token}"}`)).toEqual([token]);
  });

  test('covers a token of any length, and one that is cut', () => {
    const long = `${encode('{"alg":"HS256"}')}.${'a'.repeat(20_000)}.${signature}`;
    expect(found(jwt, `x ${long} y`)).toEqual([long]);
    expect(found(jwt, encode('{"alg":"HS256"}'))).toEqual([encode('{"alg":"HS256"}')]);
  });

  test('covers an encrypted token of five parts', () => {
    const token = `${encode('{"alg":"dir","enc":"A128GCM"}')}..${signature}.${payload}.abc`;
    expect(found(jwt, token)).toEqual([token]);
  });

  test('covers claims and signature of a token whose header begins with an unknown name', () => {
    const header = encode('{"zzz":1,"alg":"HS256"}');
    expect(found(jwt, `${header}.${payload}.${signature} `)).toEqual([`.${payload}.${signature}`]);
  });

  test.each([
    ['base64 of other JSON', encode('{"name":"ana","age":7}')],
    ['a source map', 'data:application/json;base64,eyJ2ZXJzaW9uIjozLCJmaWxlIjoi'],
    ['a word that begins alike', 'eyJustAWordThatGoesOn ewoks newspapers'],
    ['an opener that is too short', 'eyJhbGci'],
    ['a file extension', 'name.eyJ'],
  ])('leaves %s', (_what, text) => {
    expect(found(jwt, text)).toEqual([]);
  });

  test('finds every token of a registered header, with anything around it', () => {
    const header = fc
      .tuple(fc.constantFrom('alg', 'typ', 'kid', 'cty', 'jku', 'crit'), fc.string({ maxLength: 20 }))
      .map(([name, value]) => encode(JSON.stringify({ [name]: value, alg: 'HS256' })));
    fc.assert(
      fc.property(
        header,
        fc.base64String({ maxLength: 60 }),
        fc.constantFrom('', 'x', '=', '/'),
        (one, body, before) => {
          const token = `${one}.${body.replace(/[+/=]/g, '_')}`;
          expect(found(jwt, `${before}${token} rest`)).toEqual([token]);
        },
      ),
      { numRuns: 100 },
    );
  });
});
