import { describe, expect, test } from '@jest/globals';
import { runInNewContext } from 'node:vm';
import { CodedError, assertNever, describeError, errorCode } from './errors.ts';

describe('a coded error', () => {
  test('carries code, wording and cause', () => {
    const cause = new Error('inner');
    const error = new CodedError('broken', 'it broke', { cause });
    expect([error.code, error.message, error.cause, error.name]).toEqual(['broken', 'it broke', cause, 'CodedError']);
    expect(error).toBeInstanceOf(Error);
  });
});

describe('describeError', () => {
  test.each<[string, unknown, string]>([
    ['an error with a code', Object.assign(new Error('no such file'), { code: 'ENOENT' }), 'ENOENT: no such file'],
    ['an error without one', new TypeError('bad'), 'bad'],
    ['a code that is no text', Object.assign(new Error('odd'), { code: 7 }), 'odd'],
    ['a thrown string', 'the whole prompt', 'string'],
    ['a thrown object', { token: 'abc' }, 'object'],
    ['nothing', undefined, 'undefined'],
  ])('words %s', (_, thrown, wording) => {
    expect(describeError(thrown)).toBe(wording);
  });

  test('is never longer than 300 characters', () => {
    expect(describeError(new Error('x'.repeat(10_000)))).toHaveLength(300);
  });

  test('leaves out properties and causes', () => {
    const error = Object.assign(new Error('failed', { cause: 'secret-cause' }), { body: 'secret-body' });
    expect(describeError(error)).toBe('failed');
  });
});

test.each<[string, unknown, string | undefined]>([
  ['an error of the system', Object.assign(new Error('x'), { code: 'EPIPE' }), 'EPIPE'],
  ['one of another realm', runInNewContext("Object.assign(new Error('x'), { code: 'EIO' })"), 'EIO'],
  ['a coded error', new CodedError('broken', 'x'), 'broken'],
  ['an error without one', new Error('x'), undefined],
  ['a code that is no text', Object.assign(new Error('x'), { code: 5 }), undefined],
  ['an object that is no error', { code: 'EPIPE' }, undefined],
  ['nothing', null, undefined],
])('errorCode reads the code of %s', (_, error, code) => {
  expect(errorCode(error)).toBe(code);
});

test('assertNever throws without showing the value', () => {
  expect(() => assertNever('a secret value' as never)).toThrow('unexpected variant: string');
});
