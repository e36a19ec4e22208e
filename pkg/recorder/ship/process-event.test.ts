import { describe, expect, test } from '@jest/globals';
import { parseJson } from '../../base/index.ts';
import type { ProcessEvent } from '../../core/index.ts';
import { sessionId, testChain, testTime } from '../testing/chains.ts';
import { processEvent } from './process-event.ts';

const source = 'spiffe://cluster.local/ns/ml/sa/default/pod/uid-1';
const line = (event: ProcessEvent) => parseJson(testChain().lines([event]).toString().trimEnd());
const session = sessionId(1);

describe('what befell a process', () => {
  test.each([
    ['start', undefined, 'process.start', 'info', 'event'],
    ['stop', undefined, 'process.stop', 'info', 'event'],
    ['gap', 2_300, 'record.gap', 'alert', 'alert'],
    ['clock_step', -3_600_000, 'record.clock_step', 'warning', 'event'],
  ] as const)('is shipped: %s', (what, amount, action, severity, kind) => {
    const event = processEvent(
      line({ type: 'process', session, what, ...(amount !== undefined && { amount }) }),
      source,
      { entry: 9, at: testTime },
    );
    expect(event).toMatchObject({ entry: 9, id: session, at: testTime, action, severity });
    expect(event?.fields).toMatchObject({
      'event.kind': kind,
      'orchestrator.namespace': 'ml',
      'orchestrator.resource.id': 'uid-1',
      ...(amount !== undefined && { 'sidegate.amount': amount }),
    });
    if (amount !== undefined) expect(event?.message).toContain(String(amount));
  });

  test('has an id of its place where the line has none', () => {
    expect(processEvent(line({ type: 'process', what: 'start' }), source, { entry: 9, at: testTime })?.id).toBe(
      'line-9-1',
    );
  });

  test.each(['policy', 'toString', 'something new'])('is not shipped: %s', (what) => {
    expect(
      processEvent(line({ type: 'process', what: what as 'policy' }), source, { entry: 9, at: testTime }),
    ).toBeUndefined();
  });
});
