import { describe, expect, test } from '@jest/globals';
import { readObject } from './read-object.ts';
import { readYaml } from './read-yaml.ts';

const nested = (depth: number): object => JSON.parse('{"a":'.repeat(depth) + '1' + '}'.repeat(depth)) as object;

describe('an object of the API server', () => {
  test.each<[string, object]>([
    ['what JSON holds', { a: [1, 'x', true, null, { b: {} }], c: undefined }],
    ['a key that is a name of JavaScript', JSON.parse('{"__proto__":{"a":1},"constructor":2}') as object],
    ['objects as deep as may be', nested(32)],
  ])('is read as its text would be: %s', (_, object) => {
    const { value, faults, lineOf } = readObject(object);
    expect(faults).toEqual([]);
    expect(lineOf(['a'])).toBe(1);
    expect(JSON.stringify(value)).toBe(JSON.stringify(readYaml(JSON.stringify(object))[0]?.value));
    expect(Object.getPrototypeOf(value)).toBeNull();
  });

  test.each<[string, object, string]>([
    ['is nested too deeply', nested(33), 'is nested too deeply'],
    ['is nested beyond the stack', nested(100_000), 'nested too deeply'],
    ['has too many values', { a: Array.from({ length: 100_000 }, () => 0) }, 'too many values'],
    ['is too large', { a: 'x'.repeat(1024 * 1024) }, 'larger than 1 MiB'],
  ])('is refused as its text would be when it %s', (_, object, why) => {
    const { value, faults } = readObject(object);
    expect(value).toBeUndefined();
    expect(faults).toMatchObject([{ path: [], line: 1 }]);
    expect(faults[0]?.message).toContain(why);
  });
});
