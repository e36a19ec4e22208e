import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { parseJson, silentLogger, systemClock } from '../../pkg/base/index.ts';
import { lineText } from '../../pkg/cli/audit/show.ts';
import { createChangeLog, createOwnIdentity } from '../../pkg/control/record/index.ts';
import type { ChangeLog } from '../../pkg/control/record/index.ts';
import { createEventSource } from '../../pkg/recorder/ship/source.ts';
import { openPodRecord } from '../../pkg/remote/index.ts';
import type { PodRecord } from '../../pkg/remote/index.ts';
import { recorderName, startRecorder } from '../support/recorder.ts';
import type { TestRecorder } from '../support/recorder.ts';
import { until } from '../support/wait.ts';

// The controller's own record, over its own certificate, until it is found, shown and shipped.

let recorder: TestRecorder;
let record: PodRecord;
let changes: ChangeLog;
const results: string[] = [];
const replica = 'sidegate-controller-7d9f8b6c5d-abcde';
beforeAll(async () => {
  recorder = await startRecorder();
  const folder = join(recorder.folder, 'spool');
  mkdirSync(folder);
  record = openPodRecord({
    folder,
    limit: 1 << 20,
    pod: { namespace: 'sidegate-system', name: replica, uid: replica },
    clock: systemClock,
    logger: silentLogger,
    onEvent: () => undefined,
  });
  changes = createChangeLog({
    sink: record.audit,
    clock: systemClock,
    logger: silentLogger,
    leading: () => true,
    onResult: (what, result) => void results.push(`${what} ${result}`),
  });
  const identity = createOwnIdentity({
    authority: recorder.authority,
    trustDomain: 'cluster.local',
    namespace: 'sidegate-system',
    replica,
    clock: systemClock,
  });
  await identity.get();
  record.sendBy({
    identity: () => identity.current(),
    trust: () => recorder.authority.bundle(),
    recorder: () => `https://127.0.0.1:${recorder.port()}`,
    recorderName: () => recorderName,
    onRecorder: () => () => undefined,
  });
});
afterAll(async () => {
  await record?.finish(0);
  await recorder?.close();
});

const find = (question: object) => recorder.store.search({ limit: 10, ...question });

test('who decided what, when and from where, is found as a session is, shown to people and shipped', async () => {
  changes.made({
    what: 'grant',
    step: 'approved',
    name: 'ml/incident-4711',
    uid: 'u-1',
    caller: { provider: null, issuer: 'https://idp', subject: 'ana' },
    requestedBy: 'kim',
    decisions: [
      { decision: 'Approve', at: '2026-11-26T12:00:00.000Z', by: 'user:lea', breakGlass: false },
      {
        decision: 'Approve',
        at: '2026-11-26T12:00:01.000Z',
        by: 'https://idp leo\u001b[2J',
        breakGlass: true,
        from: '192.0.2.7',
        comment: 'on call,\u001b[2J ticket 7',
      },
    ],
    until: '2026-11-26T14:00:00.000Z',
  });
  changes.made({
    what: 'approval',
    step: 'denied',
    name: 'ml/a-1',
    caller: { provider: 'p/corp', issuer: 'https://idp', subject: 'bob' },
    rules: ['p/risky'],
  });
  changes.seen({ what: 'revocation', step: 'revoked', name: 'revocation-1', caller: null });
  await until(async () => (await find({ operation: 'Revocation' })).sessions.length === 1);
  expect(results).toEqual(['grant recorded', 'approval recorded', 'revocation recorded']);

  const { sessions } = await find({ user: 'ana', operation: 'Grant' });
  expect(sessions).toEqual([
    expect.objectContaining({
      namespace: 'sidegate-system',
      pod: replica,
      subject: 'ana',
      issuer: 'https://idp',
      path: 'ml/incident-4711',
      end: expect.objectContaining({ outcome: 'completed', code: 'approved' }),
    }),
  ]);
  expect((await find({ tags: ['rule:p/risky'], code: 'denied' })).sessions.map(({ subject }) => subject)).toEqual([
    'bob',
  ]);
  const [found] = sessions;
  const lines: string[] = [];
  for await (const line of recorder.store.sessionLines(found!.session, found!)) lines.push(line);
  expect(lines).toHaveLength(1);
  expect(lineText(parseJson(lines[0]!)).split('\n')).toEqual([
    expect.stringMatching(
      /Z {2}grant ml\/incident-4711: approved for ana asked by kim until 2026-11-26T14:00:00.000Z$/,
    ),
    '  decided  2026-11-26T12:00:00.000Z user:lea: Approve',
    '  decided  2026-11-26T12:00:01.000Z https://idp leo [2J: Approve from 192.0.2.7, break-glass, "on call, [2J ticket 7"',
  ]);

  const { events } = await createEventSource(recorder.store, () => true).read({ entry: 0, events: 0 }, 10);
  expect(events.map(({ action, severity, message }) => [action, severity, message])).toEqual([
    ['grant.approved', 'info', 'grant ml/incident-4711 approved: ana'],
    ['approval.denied', 'warning', 'approval ml/a-1 denied: bob'],
    ['revocation.revoked', 'warning', 'revocation revocation-1 revoked'],
  ]);
  expect(events[0]).toMatchObject({
    id: found?.session,
    fields: {
      'user.name': 'ana',
      'service.name': 'sidegate-controller',
      'sidegate.decisions': [{ by: 'user:lea' }, { breakGlass: true, from: '192.0.2.7' }],
    },
  });
});
