import { expect, test } from '@jest/globals';
import { parseJson } from '../../base/index.ts';
import type { ChangeEvent } from '../../core/index.ts';
import { sessionId, testChain, testTime } from '../testing/chains.ts';
import { changeEvent } from './change-event.ts';

const source = 'spiffe://cluster.local/ns/sidegate-system/sa/sidegate-controller/pod/uid-1';
const change: ChangeEvent = {
  type: 'change',
  session: sessionId(1),
  what: 'grant',
  step: 'withdrawn',
  name: 'ml/grant-1',
  caller: { provider: null, issuer: 'https://idp', subject: 'ana' },
  requestedBy: 'eve',
  until: '2026-01-01T08:00:00Z',
};
const shipped = (more: Partial<ChangeEvent>) =>
  changeEvent(
    parseJson(
      testChain()
        .lines([{ ...change, ...more }])
        .toString()
        .trimEnd(),
    ),
    source,
    { entry: 7, at: testTime },
  );

test('a grant that was taken back says by whom, where the webhook saw it', () => {
  const event = shipped({ by: 'kim' });
  expect(event).toMatchObject({ entry: 7, action: 'grant.withdrawn', severity: 'warning' });
  expect(event.fields).toMatchObject({
    'user.name': 'ana',
    'sidegate.name': 'ml/grant-1',
    'sidegate.requested_by': 'eve',
    'sidegate.taken_back_by': 'kim',
  });
  expect(Object.keys(shipped({}).fields)).not.toContain('sidegate.taken_back_by');
});
