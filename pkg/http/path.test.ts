import { describe, expect, test } from '@jest/globals';
import { RefusedError } from '../core/index.ts';
import { normaliseTarget } from './path.ts';
import { cpuMs } from '../../test/support/cost.ts';

describe('a target that has one reading', () => {
  test.each([
    ['/', '/', ''],
    ['/v1/chat/completions', '/v1/chat/completions', ''],
    ['/v1/models/', '/v1/models/', ''],
    ['/v1/models?limit=2&after=a%2Fb', '/v1/models', 'limit=2&after=a%2Fb'],
    ['/v1/models?', '/v1/models', ''],
    ['/v1/models/meta-llama:8b@main', '/v1/models/meta-llama:8b@main', ''],
    ['/v1/%63hat/completions', '/v1/chat/completions', ''],
    ['/v1/%7Euser/%2d', '/v1/~user/-', ''],
    ['/a%20b', '/a%20b', ''],
    ['/a%3ab', '/a%3Ab', ''],
    ["/a!$&'()*+,=b", "/a!$&'()*+,=b", ''],
    ['/...', '/...', ''],
    ['/.well-known/x', '/.well-known/x', ''],
    ['/x?a=[1]|{2}', '/x', 'a=[1]|{2}'],
    [
      '/model/arn%3Aaws%3Abedrock%3Aeu-central-1%3A123456789012%3Ainference-profile%2feu.anthropic.claude%3A0/converse',
      '/model/arn%3Aaws%3Abedrock%3Aeu-central-1%3A123456789012%3Ainference-profile%2Feu.anthropic.claude%3A0/converse',
      '',
    ],
    ['/model/arn:aws:bedrock:x::a%2Fb/invoke', '/model/arn:aws:bedrock:x::a%2Fb/invoke', ''],
  ])('%s', (target, path, query) => {
    expect(normaliseTarget(target)).toEqual({ path, query });
    // What was decided is decided the same way again.
    expect(normaliseTarget(path).path).toBe(path);
  });
});

describe('a target that two servers could read differently is refused', () => {
  test.each([
    ['an encoded slash', '/v1%2fmodels'],
    ['an encoded slash, upper case', '/v1%2Fmodels'],
    ['an encoded slash in the name of a model', '/model/a%2Fb/converse'],
    ['two encoded slashes in an ARN', '/model/arn:aws:bedrock:x::a%2Fb%2Fc/converse'],
    ['an encoded slash and dots in an ARN', '/model/arn:aws:bedrock:x::a%2F../converse'],
    ['an encoded slash before an ARN', '/model%2Farn:aws:bedrock:x::a%2Fb/converse'],
    ['an ARN of another service', '/model/arn:aws:s3:x::a%2Fb/converse'],
    ['an ARN in another place', '/v1/model/arn:aws:bedrock:x::a%2Fb/converse'],
    ['an ARN, and more of a path', '/model/arn:aws:bedrock:x::a%2Fb/converse/x'],
    ['a back slash', '/v1\\models'],
    ['an encoded back slash', '/v1%5cmodels'],
    ['a dot segment', '/v1/./models'],
    ['a last dot segment', '/v1/.'],
    ['a parent segment', '/v1/../admin'],
    ['a last parent segment', '/v1/..'],
    ['encoded dots', '/v1/%2e%2e/admin'],
    ['half encoded dots', '/v1/.%2E/admin'],
    ['an encoded dot', '/v1/%2e/admin'],
    ['a double slash', '/v1//models'],
    ['a leading double slash', '//v1/models'],
    ['two trailing slashes', '/v1//'],
    ['NUL', '/v1%00'],
    ['an encoded line feed', '/v1%0a'],
    ['an encoded DEL', '/v1%7f'],
    ['non-ASCII', '/v1/é'],
    ['encoded UTF-8', '/v1/%c3%a9'],
    ['overlong UTF-8 slash', '/v1%c0%af'],
    ['a full-width slash', '/v1／models'],
    ['a bad escape', '/v1/%zz'],
    ['a cut escape', '/v1/%2'],
    ['a lone percent', '/v1/%'],
    ['an escape of an escape', '/v1/%252e%252e/'],
    ['an IIS escape', '/v1/%u002e'],
    ['parameters', '/v1;x=y/models'],
    ['encoded parameters', '/v1%3bx/models'],
    ['an encoded question mark', '/v1%3fx'],
    ['a fragment', '/v1#x'],
    ['an encoded fragment', '/v1%23x'],
    ['a fragment in the query', '/v1?a#b'],
    ['a space', '/v1 /x'],
    ['a control character', '/v1\x01'],
    ['a control character in the query', '/v1?a\x01'],
    ['non-ASCII in the query', '/v1?é'],
    ['a bad escape in the query', '/v1?%zz'],
    ['absolute form', 'http://a/v1'],
    ['no slash', 'v1'],
    ['nothing', ''],
    ['an asterisk', '*'],
    ['a pipe in the path', '/a|b'],
    ['a very long one', `/${'a'.repeat(9000)}`],
  ])('%s', (_name, target) => {
    let thrown: unknown;
    try {
      normaliseTarget(target);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(RefusedError);
    expect(thrown).toMatchObject({ code: 'invalid_path' });
    if (target.length > 1) expect((thrown as Error).message).not.toContain(target);
  });
});

test('a path of escapes is judged in linear time', () => {
  const cost = cpuMs(() => {
    expect(() => normaliseTarget(`/${'%41'.repeat(2700)}%`)).toThrow(RefusedError);
    expect(() => normaliseTarget(`/${'a/'.repeat(4000)}!`)).not.toThrow();
    expect(() => normaliseTarget(`/${'a'.repeat(8000)}\x01`)).toThrow(RefusedError);
  });
  expect(cost).toBeLessThan(200);
});
