import { expect, test } from '@jest/globals';
import { fakeClock } from '../../test/support/fake-clock.ts';
import { RefusedError } from '../core/index.ts';
import type { Metrics } from '../telemetry/index.ts';
import { noteModelFaults } from './model-faults.ts';

test('each failure of the model counts, and of each kind one line a minute says why', () => {
  const clock = fakeClock();
  const counted: string[] = [];
  const lines: unknown[] = [];
  const log = (_message: string, facts?: unknown): void => void lines.push(facts);
  const note = noteModelFaults(
    { upstreamError: (code: string) => void counted.push(code) } as unknown as Metrics,
    { warn: log, info: log, debug: log, error: log } as never,
    clock,
  );
  const refused = Object.assign(new Error('what the model said: 4111 1111 1111 1111'), { code: 'ECONNREFUSED' });
  const unreachable = new RefusedError('upstream_unreachable', { cause: refused });
  note('one', unreachable);
  note('two', unreachable);
  note('three', new RefusedError('upstream_error', { detail: 'credential' }));
  note('four', new RefusedError('guard_blocked'));
  clock.advance(60_000);
  note('five', unreachable);
  expect(counted).toEqual(['upstream_unreachable', 'upstream_unreachable', 'upstream_error', 'upstream_unreachable']);
  expect(lines).toEqual([
    { request: 'one', code: 'upstream_unreachable', why: 'ECONNREFUSED', unsaid: 0 },
    { request: 'three', code: 'upstream_error', why: 'credential', unsaid: 0 },
    { request: 'five', code: 'upstream_unreachable', why: 'ECONNREFUSED', unsaid: 1 },
  ]);
});
