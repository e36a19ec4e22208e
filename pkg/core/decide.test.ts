import { describe, expect, test } from '@jest/globals';
import { decisionOf, recordedDecision } from './decision.ts';
import type { Vote } from './decision.ts';
import { readChoice, tokenVote, voteFault } from './decide.ts';

const naming = 'sub for inference';
const asker = { issuer: 'https://idp', subject: 'ana', kubernetesUser: 'ana@corp', naming };
const bob = { issuer: 'https://idp', subject: 'bob', kubernetesUser: 'bob@corp', naming };
const unnamed = { issuer: 'https://idp', subject: 'bob', kubernetesUser: undefined };
const open = { phase: 'Pending' as const, votes: [] as readonly Vote[], expiresAt: 1_000, asker };
const voted = (vote: Partial<Vote>): typeof open => ({
  ...open,
  votes: [{ decision: 'Approve', at: '2026-01-01T00:00:00Z', ...vote }],
});

describe('a vote by token', () => {
  test.each<[string, ReturnType<typeof voteFault>, Parameters<typeof voteFault>]>([
    ['somebody else may', undefined, [bob, open, 999]],
    ['the requester may not', 'self_approval', [asker, open, 0]],
    [
      'nor at another issuer, where both are one to Kubernetes',
      'self_approval',
      [{ ...bob, kubernetesUser: 'ana@corp' }, open, 0],
    ],
    [
      'nor who asked in their name',
      'self_approval',
      [bob, { ...open, asker: { ...asker, requestedBy: 'bob@corp' } }, 0],
    ],
    [
      'nor somebody of whom that cannot be told',
      'cannot_exclude_self_approval',
      [{ ...bob, kubernetesUser: undefined }, { ...open, asker: { ...asker, requestedBy: 'eve' } }, 0],
    ],
    [
      'nor somebody of another issuer, where one of both is not known to Kubernetes',
      'cannot_exclude_self_approval',
      [{ issuer: 'https://other', subject: 'ana', kubernetesUser: undefined }, open, 0],
    ],
    [
      'be it the requester who is not',
      'cannot_exclude_self_approval',
      [{ ...bob, issuer: 'https://other' }, { ...open, asker: { ...asker, kubernetesUser: undefined } }, 0],
    ],
    ['at the same issuer, accounts are people', undefined, [{ ...bob, kubernetesUser: undefined }, open, 0]],
    [
      'but not those whom their provider names otherwise',
      'cannot_exclude_self_approval',
      [{ ...bob, naming: 'claim email', kubernetesUser: undefined }, open, 0],
    ],
    ['nor those whose subjects tell nobody apart', 'cannot_exclude_self_approval', [unnamed, open, 0]],
    [
      'nor the requester’s',
      'cannot_exclude_self_approval',
      [{ ...bob, kubernetesUser: undefined }, { ...open, asker: { ...asker, naming: undefined } }, 0],
    ],
    ['nor in capitals', 'self_approval', [{ ...bob, kubernetesUser: 'Ana@Corp' }, open, 0]],
    ['nor behind a prefix', 'cannot_exclude_self_approval', [{ ...bob, kubernetesUser: 'oidc:ana@corp' }, open, 0]],
    ['as long a name as all can read counts', undefined, [{ ...bob, subject: 's'.repeat(512) }, open, 0]],
    ['a longer one does not', 'unusable_name', [{ ...bob, subject: 's'.repeat(513) }, open, 0]],
    ['by UTF-16 units', 'unusable_name', [{ ...bob, subject: '😀'.repeat(257) }, open, 0]],
    ['nor of an issuer', 'unusable_name', [{ ...bob, issuer: `https://${'i'.repeat(505)}` }, open, 0]],
    ['nor in Kubernetes', 'unusable_name', [{ ...bob, kubernetesUser: 'k'.repeat(257) }, open, 0]],
    ['nor one that the API server would change', 'unusable_name', [{ ...bob, subject: 'a\ud800' }, open, 0]],
    ['nothing counts at the end', 'expired', [bob, open, 1_000]],
    ['nor where the end is no time', 'expired', [bob, { ...open, expiresAt: Number.NaN }, 0]],
    ['nor when it is decided', 'decided', [bob, { ...open, phase: 'Denied' }, 0]],
    ['nobody votes twice', 'voted', [bob, voted({ caller: { issuer: 'https://idp', subject: 'bob' } }), 0]],
    ['nor by Kubernetes and by token', 'voted', [bob, voted({ user: 'bob@corp' }), 0]],
    [
      'another’s vote is none of theirs',
      undefined,
      [bob, voted({ caller: { issuer: 'https://other', subject: 'bob' } }), 0],
    ],
  ])('%s', (_what, fault, [who, undecided, now]) => {
    expect(voteFault(who, undecided, now)).toBe(fault);
  });

  test('says that the glass was broken', () => {
    const by = { token: 'secret', from: '192.0.2.7', now: 0 };
    const vote = tokenVote(bob, by, { decision: 'Approve', comment: undefined, breakGlass: true });
    expect(vote).toMatchObject({ decision: 'Approve', breakGlass: true });
    expect(recordedDecision(vote)).toMatchObject({ by: 'https://idp bob', breakGlass: true });
  });

  test('says who, when, from where and by which token, and never the token', () => {
    const vote = tokenVote(bob, { token: 'secret', from: '192.0.2.7', now: 0 }, { decision: 'Deny', comment: 'no' });
    expect(vote).toEqual({
      decision: 'Deny',
      at: '1970-01-01T00:00:00.000Z',
      caller: { ...bob, proof: expect.stringMatching(/^sha256:[0-9a-f]{64}$/), from: '192.0.2.7' },
      comment: 'no',
    });
    expect(JSON.stringify(vote)).not.toContain('secret');
    expect(decisionOf(vote)).not.toHaveProperty('from');
    expect(recordedDecision(vote)).toEqual({
      decision: 'Deny',
      at: '1970-01-01T00:00:00.000Z',
      by: 'https://idp bob',
      breakGlass: false,
      from: '192.0.2.7',
    });
  });
});

test.each([
  ['{"decision":"Approve","breakGlass":true}', { decision: 'Approve', comment: undefined, breakGlass: true }],
  ['{"decision":"Approve"}', { decision: 'Approve', comment: undefined }],
  ['{"decision":"Approve","breakGlass":false}', undefined],
  ['{"decision":"Deny","breakGlass":true}', undefined],
  ['{"decision":"Approve","breakGlass":true,"user":"lea"}', undefined],
])('where the glass may be broken, %s is read as %j', (text, choice) => {
  expect(readChoice(text, { breakGlass: true })).toEqual(choice);
});

test.each([
  ['{"decision":"Approve"}', { decision: 'Approve', comment: undefined }],
  ['{"decision":"Deny","comment":"why"}', { decision: 'Deny', comment: 'why' }],
  ['{"decision":"approve"}', undefined],
  ['{"decision":"Approve","decision":"Deny"}', undefined],
  ['{"decision":"Approve","breakGlass":true}', undefined],
  [`{"decision":"Approve","comment":"${'x'.repeat(1_025)}"}`, undefined],
  ['[]', undefined],
  ['', undefined],
])('%s is read as %j', (text, choice) => {
  expect(readChoice(text)).toEqual(choice);
});
