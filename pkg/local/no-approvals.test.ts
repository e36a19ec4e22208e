import { expect, test } from '@jest/globals';
import { noApprovals } from './no-approvals.ts';

test('without an approver every request for an approval is unavailable', async () => {
  expect(await noApprovals.request({ rule: 'p/r', session: 's', digest: 'd' })).toBe('unavailable');
});
