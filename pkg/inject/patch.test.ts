import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { jsonValue, parseJson } from '../base/index.ts';
import { patchBetween } from './patch.ts';
import { applyPatch } from './testing/apply-patch.ts';

const named = (...names: readonly string[]): unknown[] => names.map((name) => ({ name, value: name }));

describe('a patch', () => {
  it('makes the one of the other, whatever they are', () => {
    const item = fc.record({ name: fc.constantFrom('a', 'b', 'c', 'd', 'e'), value: fc.jsonValue() });
    const object = fc.dictionary(fc.constantFrom('x', 'y/z', 'm~n', ''), fc.oneof(fc.jsonValue(), fc.array(item)));
    fc.assert(
      fc.property(object, object, (before, after) => {
        expect(applyPatch(before, patchBetween(before, after))).toEqual(after);
      }),
      { numRuns: 500 },
    );
  });

  it('of equal values is empty', () => {
    fc.assert(fc.property(fc.jsonValue(), (value) => expect(patchBetween(value, structuredClone(value))).toEqual([])));
  });

  it('moves an element that stands elsewhere, and does not write it again', () => {
    expect(patchBetween({ list: named('a', 'b', 'c') }, { list: named('c', 'a', 'b') })).toEqual([
      { op: 'move', from: '/list/2', path: '/list/0' },
    ]);
  });

  it('adds an element alone', () => {
    expect(patchBetween({ list: named('a', 'c') }, { list: named('a', 'b', 'c') })).toEqual([
      { op: 'add', path: '/list/1', value: { name: 'b', value: 'b' } },
    ]);
  });

  it('makes a list that is missing or null, and then its elements', () => {
    for (const before of [{}, { list: null }])
      expect(patchBetween(before, { list: named('a') })).toEqual([
        { op: 'add', path: '/list', value: [] },
        { op: 'add', path: '/list/0', value: { name: 'a', value: 'a' } },
      ]);
  });

  it('takes __proto__ for a key', () => {
    const parsed = (text: string): unknown => jsonValue(parseJson(text));
    expect(patchBetween(parsed('{"a":{}}'), parsed('{"a":{"__proto__":1}}'))).toEqual([
      { op: 'add', path: '/a/__proto__', value: 1 },
    ]);
    expect(patchBetween(parsed('{"__proto__":1}'), parsed('{"constructor":1}'))).toEqual([
      { op: 'remove', path: '/__proto__' },
      { op: 'add', path: '/constructor', value: 1 },
    ]);
  });

  it('escapes keys as RFC 6901 says', () => {
    expect(patchBetween({ 'a/b~c': 1 }, { 'a/b~c': 2 })).toEqual([{ op: 'replace', path: '/a~1b~0c', value: 2 }]);
  });
});
