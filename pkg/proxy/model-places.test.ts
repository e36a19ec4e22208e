import { expect, test } from '@jest/globals';
import { RefusedError } from '../core/index.ts';
import { ModelPlaces } from './model-places.ts';

const taken = (places: ModelPlaces, owner: string): string => {
  try {
    places.take(owner);
    return 'taken';
  } catch (error) {
    return error instanceof RefusedError ? error.code : String(error);
  }
};

test('one caller has half of the places, all have no more than there are, and each comes back', () => {
  const places = new ModelPlaces(4);
  expect(['ana', 'ana', 'ana'].map((owner) => taken(places, owner))).toEqual(['taken', 'taken', 'caller_share_used']);
  expect(['bob', 'eve', 'eve'].map((owner) => taken(places, owner))).toEqual(['taken', 'taken', 'overloaded']);
  expect(places.taken).toBe(4);
  places.give('ana');
  expect(taken(places, 'eve')).toBe('taken');
  for (const owner of ['ana', 'bob', 'eve', 'eve']) places.give(owner);
  expect(places.taken).toBe(0);
  expect([taken(places, 'ana'), taken(places, 'ana')]).toEqual(['taken', 'taken']);
});

test('a single place is anybody’s', () => {
  const places = new ModelPlaces(1);
  expect(['ana', 'bob'].map((owner) => taken(places, owner))).toEqual(['taken', 'overloaded']);
});
