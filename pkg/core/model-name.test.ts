import { describe, expect, test } from '@jest/globals';
import { allowedModel, deniedModel, plainModelName } from './model-name.ts';

test.each([
  ['llama3', 'llama3'],
  ['llama3:latest', 'llama3'],
  ['Llama3:LATEST', 'Llama3'],
  ['library/llama3', 'llama3'],
  ['registry.ollama.ai/library/llama3:latest', 'llama3'],
  ['https://registry.ollama.ai/library/llama3', 'llama3'],
  ['llama3:8b', 'llama3:8b'],
  ['me/llama3:latest', 'me/llama3'],
  ['meta-llama/Llama-3.1-8B', 'meta-llama/Llama-3.1-8B'],
  ['latest', 'latest'],
  [':latest', ':latest'],
  ['a::latest', 'a::latest'],
])('%s is called %s', (name, plain) => {
  expect(plainModelName(name)).toBe(plain);
});

describe('a pattern', () => {
  test.each([
    ['llama3', 'llama3:latest', true],
    ['llama3:latest', 'llama3', true],
    ['llama3:latest', 'library/llama3:latest', true],
    ['llama3', 'Llama3', false],
    ['llama3', 'llama3:8b', false],
    // It says no more than it is spelled.
    ['*:latest', 'llama3:latest', true],
    ['*:latest', 'llama3', false],
    ['*:latest', 'gpt:8b', false],
    ['llama*', 'registry.ollama.ai/library/llama3', true],
  ])('that allows %s matches %s: %s', (pattern, name, matches) => {
    expect(allowedModel(pattern).matches(name)).toBe(matches);
  });

  test.each([
    ['llama3', 'llama3:latest', true],
    ['llama3', 'LLAMA3', true],
    ['Llama3', 'llama3', true],
    ['llama3:latest', 'Library/Llama3', true],
    ['library/*', 'llama3', true],
    ['*:latest', 'llama3', true],
    ['registry.ollama.ai/*', 'llama3', true],
    ['registry.ollama.ai/foo/*', 'foo/bar', true],
    ['registry.ollama.ai/foo/*:latest', 'registry.ollama.ai/foo/bar', true],
    ['registry.ollama.ai/foo/*', 'fool/bar', false],
    ['llama3', 'llama3:8b', false],
    ['llama3', 'me/llama3', false],
  ])('that denies %s matches %s: %s', (pattern, name, matches) => {
    expect(deniedModel(pattern).matches(name)).toBe(matches);
  });

  test('keeps its spelling, and whether it is every model', () => {
    expect([allowedModel('a:latest').source, deniedModel('B').source]).toEqual(['a:latest', 'B']);
    expect([allowedModel('*').all, allowedModel('a*').all]).toEqual([true, false]);
  });
});
