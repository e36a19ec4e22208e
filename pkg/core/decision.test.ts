import { describe, expect, test } from '@jest/globals';
import { approverIsCaller, approverIsUser, peopleWho, phaseAt } from './decision.ts';
import type { Asker, Vote } from './decision.ts';
import { caller } from './testing/policies.ts';

const naming = 'sub for inference';
const asker: Asker = { issuer: 'i', subject: 'ana', kubernetesUser: 'ana@x', naming };
const at = '2026-01-01T00:00:00Z';
const user = (name: string, more: Partial<Vote> = {}): Vote => ({ decision: 'Approve', at, user: name, ...more });
const token = (subject: string, kubernetesUser?: string, issuer = 'i', named: string | undefined = naming): Vote => ({
  decision: 'Approve',
  at,
  caller: { issuer, subject, kubernetesUser, naming: named },
});
/** Whom the policy names by an address. */
const renamed = (address: string, sub: string): Vote => {
  const { caller: who, ...vote } = token(address, address);
  return { ...vote, caller: { ...who!, sub } };
};
/** Whose subject was named otherwise than the others', or in a way that tells nobody apart. */
const otherwise = (subject: string, kubernetesUser?: string, named = 'claim email'): Vote =>
  token(subject, kubernetesUser, 'i', named);
const vaguely = (subject: string, kubernetesUser?: string): Vote => {
  const { caller: who, ...vote } = token(subject, kubernetesUser);
  return { ...vote, caller: { ...who!, naming: undefined } };
};

describe('how many people approve', () => {
  test.each<[string, readonly Vote[], number, Partial<Asker>?]>([
    ['nobody', [], 0],
    ['each once', [user('b'), user('b'), user('c')], 2],
    ['the asker by no way', [user('ana@x'), token('ana'), token('x', 'ana@x')], 0],
    ['one person by both ways', [user('b@x'), token('b', 'b@x')], 1],
    ['one of whom the name has changed once', [renamed('b@x', 'u-2'), renamed('b.jones@x', 'u-2')], 1],
    ['the asker by no name of theirs', [renamed('ana.smith@x', 'u-1')], 0, { subject: 'ana@x', sub: 'u-1' }],
    ['the asker not by their `sub` as somebody’s name', [token('u-1')], 0, { subject: 'ana@x', sub: 'u-1' }],
    ['others by their own', [renamed('b@x', 'u-2'), renamed('c@x', 'u-3')], 2, { subject: 'ana@x', sub: 'u-1' }],
    ['two who are known to differ', [user('b@x'), token('c', 'c@x')], 2],
    ['not the sum where it cannot be told', [user('b@x'), token('c')], 1],
    ['the larger of the two ways', [user('b@x'), token('c'), token('d')], 2],
    ['denials as nothing', [user('b', { decision: 'Deny' })], 0],
    [
      'no Kubernetes user where the asker is not known to it',
      [user('b'), token('c')],
      1,
      { kubernetesUser: undefined },
    ],
    ['nor who asked for another', [user('kim'), token('k', 'kim'), token('c')], 0, { requestedBy: 'kim' }],
    ['one account each at one issuer', [token('c'), token('d', 'd@x')], 2],
    ['accounts at two issuers once, where it cannot be told', [token('c', 'c@x'), token('d', undefined, 'j')], 1],
    ['accounts at two issuers that are known to differ', [token('c', 'c@x'), token('d', 'd@x', 'j')], 2],
    ['the larger of two issuers', [token('c', 'c@x', 'j'), token('d', 'd@x'), token('e'), token('f')], 3],
    ['nobody of another issuer who may be the asker', [token('c', undefined, 'j'), token('d')], 1],
    [
      'nobody of another issuer where the asker is not known',
      [token('c', 'c@x', 'j'), token('d')],
      1,
      { kubernetesUser: undefined },
    ],
    [
      'people beside a workload that asks, whatever their issuer',
      [token('c', undefined, 'j'), token('d', undefined, 'j')],
      2,
      { kubernetesUser: 'system:serviceaccount:ml:batch' },
    ],
    [
      'nobody of the asker’s issuer whose name was made otherwise, and may be the asker',
      [otherwise('ana@example.com')],
      0,
    ],
    ['nor in a way that tells nobody apart', [vaguely('b'), vaguely('c')], 0],
    [
      'nobody by subject where the asker’s tells nothing',
      [token('b')],
      0,
      { naming: undefined, kubernetesUser: undefined },
    ],
    [
      'two who were named otherwise than the asker, by their names in Kubernetes',
      [otherwise('b', 'b@x'), vaguely('c', 'c@x')],
      2,
    ],
    ['one person whom one issuer names in two ways once', [token('b'), otherwise('b@example.com', 'b@x')], 1],
    ['one person with two accounts and one name once', [token('b', 'b@x'), token('b2', 'b@x')], 1],
    ['names that differ in case once', [user('Bob@x'), token('b', 'bob@x')], 1],
    ['names that differ by a prefix once', [user('oidc:bob@x'), token('b', 'bob@x')], 1],
    [
      'names that differ by a prefix that the policy has otherwise once',
      [user('https://idp#bob@x'), token('b', 'oidc:bob@x')],
      1,
    ],
    [
      'the asker by no prefix that the policy has otherwise',
      [user('https://idp#ana@x')],
      0,
      { kubernetesUser: 'oidc:ana@x' },
    ],
    ['the asker by no case and no prefix', [user('ANA@x'), user('oidc:ana@x'), user('https://idp#ana@x')], 0],
    ['the asker’s name with something before it that is no prefix', [user('mariana@x')], 1],
    ['a workload of such a name', [user('system:serviceaccount:ml:ana')], 1, { kubernetesUser: 'ana' }],
    ['nobody who may be who asked for another', [user('oidc:kim')], 0, { requestedBy: 'kim' }],
    ['others beside who asked', [user('b'), token('c', 'c@x')], 2, { requestedBy: 'kim' }],
  ])('counts %s', (_what, votes, count, more = {}) => {
    expect(peopleWho(votes, { ...asker, ...more })).toBe(count);
  });
});

describe('the phase', () => {
  const phase = (votes: readonly Vote[], now = 0, more = {}) =>
    phaseAt({ phase: 'Pending', votes, required: 2, expiresAt: 10, asker, ...more }, now);

  test('follows from denial before time, and from time before approval', () => {
    expect(phase([])).toBe('Pending');
    expect(phase([user('b')])).toBe('Pending');
    expect(phase([user('b'), user('c')])).toBe('Approved');
    expect(phase([user('b'), user('c'), user('d', { decision: 'Deny' })])).toBe('Denied');
    expect(phase([user('b'), user('c')], 10)).toBe('Expired');
    expect(phase([user('d', { decision: 'Deny' })], 10)).toBe('Denied');
    expect(phase([user('b'), user('c')], 0, { required: undefined })).toBe('Pending');
  });

  test('is Approved by one who breaks the glass, and not by the asker', () => {
    expect(phase([user('b', { breakGlass: true })])).toBe('Approved');
    expect(phase([user('ana@x', { breakGlass: true })])).toBe('Pending');
    expect(phase([user('b', { breakGlass: true })], 10)).toBe('Expired');
  });

  test('does not leave what is final; what is approved ends by time alone', () => {
    for (const final of ['Denied', 'Expired', 'Used', 'Cancelled'] as const)
      expect(phase([user('b'), user('c')], 20, { phase: final })).toBe(final);
    expect(phase([user('d', { decision: 'Deny' })], 0, { phase: 'Approved' })).toBe('Approved');
    expect(phase([], 10, { phase: 'Approved' })).toBe('Expired');
  });

  test('an end that is no time never lets anything through', () => {
    expect(phase([user('b'), user('c')], 0, { expiresAt: Number.NaN })).not.toBe('Approved');
  });
});

test('an entry means the callers of its provider who fit it, and Kubernetes entries mean no caller', () => {
  const bob = caller('ml/p/corp', { subject: 'bob', groups: ['leads'], scopes: ['s'] });
  expect(approverIsCaller({ group: 'leads' }, 'ml/p/corp', bob)).toBe(true);
  expect(approverIsCaller({ group: 'leads' }, 'ml/p/other', bob)).toBe(false);
  expect(approverIsCaller({ group: 'leads' }, undefined, bob)).toBe(false);
  expect(approverIsCaller({}, 'ml/p/corp', bob)).toBe(false);
  expect(approverIsCaller({ authenticated: true }, 'ml/p/corp', bob)).toBe(true);
  expect(approverIsCaller({ group: 'leads', subject: 'eve' }, 'ml/p/corp', bob)).toBe(false);
  expect(approverIsCaller({ kubernetesGroup: 'leads' }, 'ml/p/corp', bob)).toBe(false);
  expect(approverIsUser({ kubernetesGroup: 'leads' }, 'bob', ['leads'])).toBe(true);
  expect(approverIsUser({ group: 'leads' }, 'bob', ['leads'])).toBe(false);
  expect(approverIsUser({ kubernetesUser: 'bob' }, 'Bob', [])).toBe(false);
});
