import { expect, test } from '@jest/globals';
import { provider } from '../../core/testing/policies.ts';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import type { PolicySet } from '../policies/policy-index.ts';
import { createKnownProviders } from './known-providers.ts';

test('pods are walked through once in two seconds for a namespace, however often they are asked about', () => {
  const clock = fakeClock();
  const walked: (string | undefined)[] = [];
  let names = ['corp'];
  const known = createKnownProviders(clock, (namespace) => {
    walked.push(namespace);
    const set = { kind: 'compiled', providers: names.map((name) => ({ ...provider('corp'), id: `ml/p/${name}` })) };
    return [set as unknown as PolicySet];
  });
  const ids = (): string[] => known.of('ml').map(({ id }) => id);
  for (let times = 0; times < 100; times++) {
    expect(ids()).toEqual(['ml/p/corp']);
    known.of('hr');
    known.all();
  }
  expect(walked).toEqual(['ml', 'hr', undefined]);
  names = ['other'];
  clock.advance(1_999);
  expect(ids()).toEqual(['ml/p/corp']);
  clock.advance(1);
  expect(ids()).toEqual(['ml/p/other']);
  // Names that somebody makes up are kept only so many at once.
  walked.length = 0;
  for (let at = 0; at < 1_100; at++) known.of(`made-up-${at}`);
  ids();
  expect(walked.at(-1)).toBe('ml');
});
