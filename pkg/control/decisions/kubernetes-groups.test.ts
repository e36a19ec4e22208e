import { expect, test } from '@jest/globals';
import { kubernetesGroups } from './kubernetes-groups.ts';

test.each([
  ['a person has those of the token', 'lea@example.com', ['leads'], ['system:authenticated', 'leads']],
  ['with the prefix of their name, too', 'oidc:lea', ['leads'], ['system:authenticated', 'leads', 'oidc:leads']],
  [
    'a service account has those of all and of its namespace, which stand in no token',
    'system:serviceaccount:ml:deployer',
    [],
    ['system:authenticated', 'system:serviceaccounts', 'system:serviceaccounts:ml'],
  ],
])('%s', (_, user, groups, expected) => {
  expect(kubernetesGroups(user, groups)).toEqual(expect.arrayContaining(expected));
});

test('nobody else has those of service accounts', () => {
  for (const user of ['lea', 'system:serviceaccount:ml', 'system:serviceaccounts:ml', 'x:system:serviceaccount:ml:a'])
    expect(kubernetesGroups(user, []).filter((group) => group.startsWith('system:serviceaccounts'))).toEqual([]);
});
