import { expect, test } from '@jest/globals';
import { longestVoter } from '../../core/index.ts';
import { decisions } from './decisions.ts';

test('a vote that is taken can be stored: the definition takes names as long', () => {
  const { user, caller } = decisions.items.properties;
  const { issuer, subject, kubernetesUser } = caller.properties;
  expect({
    issuer: issuer.maxLength,
    subject: subject.maxLength,
    kubernetesUser: kubernetesUser.maxLength,
  }).toEqual(longestVoter);
  expect(user.maxLength).toBe(256);
});
