import { createHash } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { Place, strangerStep } from './place.ts';
import { either, free, list, object, schema, text } from './shape.ts';

const root = Place.root(
  object({ choices: list(object({ content: text })), documents: list(free), thinking: either(text, free), schema }),
);

describe('places', () => {
  it('of the dialect are made once', () => {
    const one = root.known('choices')?.element(0).known('content');
    expect(one).toBeDefined();
    expect(root.known('choices')?.element(0).known('content')).toBe(one);
    expect(one?.id).toBe('choices[0].content');
    expect(one?.path).toEqual(['choices', 0, 'content']);
  });

  it('are kept for a bounded number of elements, whatever indexes come', () => {
    const choices = root.known('choices');
    for (const index of [4_000, 900, 8]) expect(choices?.element(index)).not.toBe(choices?.element(index));
    expect(choices?.element(4_000).id).toBe('choices[4000]');
  });

  it.each(['documents', 'thinking', 'schema'])('below %s, which callers nest as they like, are not kept', (name) => {
    const element = root.known(name)?.element(0);
    expect(root.known(name)?.element(0)).not.toBe(element);
    expect(element?.element(0)).not.toBe(element?.element(0));
    expect(element?.stranger('a')).not.toBe(element?.stranger('a'));
  });

  it('deep below long names have short ids, and each its own', () => {
    let place = Place.root(free);
    for (let depth = 0; depth < 60; depth++) place = place.stranger(`n${'x'.repeat(40)}${depth}`);
    const ids = [0, 1].flatMap((at) => [place.element(at).id, place.element(at).stranger('name').id]);
    expect(Math.max(...ids.map((id) => id.length))).toBeLessThan(400);
    expect(new Set([...ids, place.id]).size).toBe(5);
    expect(place.element(1).path).toHaveLength(61);
    expect(place.element(1).id).toBe(place.element(1).id);
  });

  it('of any JSON are not kept at all', () => {
    const any = Place.root(free);
    expect(any.element(0)).not.toBe(any.element(0));
  });

  it('name in errors only what the dialect knows', () => {
    const stranger = root.known('choices')?.element(2).stranger('ana_smith');
    expect(stranger?.id).toBe(`choices[2].${strangerStep('ana_smith')}`);
    expect(stranger?.publicId).toBe('choices[2]');
    expect(stranger?.element(3).publicId).toBe('choices[2]');
  });

  it.each(['falcon', 'AKIAIOSFODNN7EXAMPLE', '078-05-1120', 'a b', 'a.b', 'a[0]', '', 'é', 'x'.repeat(65)])(
    'spell the key %j only as a digest, the same each time',
    (key) => {
      const { id, path } = root.stranger(key);
      expect(id).toMatch(/^\{[0-9a-f]{16}\}$/);
      expect(id).toBe(strangerStep(key));
      expect(path).toEqual([key]);
      // Nobody who guesses the key can tell by its digest.
      expect(id).not.toContain(createHash('sha256').update(key).digest('hex').slice(0, 16));
    },
  );
});
