import { expect, test } from '@jest/globals';
import type { ApprovalAsk, ApprovalState } from '../core/index.ts';
import { noApprovals } from './no-approvals.ts';

const ask: ApprovalAsk = {
  direction: 'Request',
  rules: ['p/r'],
  requester: { provider: 'a/p/idp', issuer: 'https://idp', subject: 'ana', kubernetesUser: undefined },
  operation: 'Chat',
  model: 'm',
  digest: `sha256:${'0'.repeat(64)}`,
  snapshot: '0'.repeat(64),
  session: 's',
  excerpt: '',
};

test('without an approver every request for an approval is unavailable, and nothing can be spent', async () => {
  const heard: ApprovalState[] = [];
  const ticket = noApprovals.ask(ask, (state) => heard.push(state));
  noApprovals.watch('x', ask.requester, (state) => heard.push(state));
  expect(heard).toEqual([
    { kind: 'problem', problem: 'unavailable' },
    { kind: 'problem', problem: 'unavailable' },
  ]);
  expect(await ticket.claim()).toBe(false);
});
