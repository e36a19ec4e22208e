import { expect, test } from '@jest/globals';
import { providerId, shortProvider } from './approval-spec.ts';

test.each([
  ['ml/p/corp', 'p/corp'],
  ['cluster/base/corp', 'cluster/base/corp'],
  // Of a policy of the namespace that is named `cluster`: not the platform's.
  ['ml/cluster/corp', 'cluster/corp'],
])('the provider %s stands in approvals of its namespace as %s, and is read as itself', (id, short) => {
  expect(shortProvider('ml', id)).toBe(short);
  expect(providerId('ml', short)).toBe(id);
});
