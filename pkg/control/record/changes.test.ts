import { expect, test } from '@jest/globals';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { silentLogger } from '../../base/index.ts';
import { AuditUnavailableError } from '../../core/index.ts';
import type { AuditEvent } from '../../core/index.ts';
import { createChangeLog } from './changes.ts';
import type { Change } from './changes.ts';

const change = (name: string): Change => ({ what: 'grant', step: 'withdrawn', name, caller: null });

function replica() {
  const clock = fakeClock();
  const events: AuditEvent[] = [];
  const results: string[] = [];
  const state = { leads: false, fails: false };
  const log = createChangeLog({
    sink: {
      append(more) {
        if (state.fails) throw new AuditUnavailableError();
        events.push(...more);
      },
    },
    clock,
    logger: silentLogger,
    leading: () => state.leads,
    onResult: (what, result) => void results.push(`${what} ${result}`),
  });
  const names = (): string[] => events.map((event) => (event.type === 'change' ? event.name : event.type));
  return { clock, log, state, events, results, names };
}

test('what a replica made it records, whoever leads; each change has an id of its own', () => {
  const { log, events, results } = replica();
  log.made(change('ml/a'));
  log.made(change('ml/a'));
  expect(events).toEqual([1, 2].map(() => ({ type: 'change', session: expect.any(String), ...change('ml/a') })));
  const ids = events.map((event) => (event.type === 'change' ? event.session : ''));
  expect(ids.filter((id) => /^[0-9a-f]{32}$/.test(id))).toHaveLength(2);
  expect(ids[0]).not.toBe(ids[1]);
  expect(results).toEqual(['grant recorded', 'grant recorded']);
});

test('what all see the leader records; who leads next tells what the last one may not have told any more', () => {
  const { clock, log, state, names } = replica();
  log.seen(change('long ago'));
  clock.advance(29_000);
  log.seen(change('just before'));
  clock.advance(1_000);
  expect(names()).toEqual([]);
  state.leads = true;
  log.lead();
  log.seen(change('since'));
  log.lead();
  expect(names()).toEqual(['just before', 'since']);
});

test('what has to be asked for first is asked for by who tells of it alone', async () => {
  const { log, state, events } = replica();
  let asked = 0;
  const more = () => Promise.resolve({ by: `user ${++asked}` });
  log.seen(change('taken back'), more);
  await Promise.resolve();
  expect([asked, events]).toEqual([0, []]);
  state.leads = true;
  log.lead();
  log.seen(change('since'), more);
  await new Promise((resolve) => setImmediate(resolve));
  expect(events).toEqual([
    expect.objectContaining({ name: 'taken back', by: 'user 1' }),
    expect.objectContaining({ name: 'since', by: 'user 2' }),
  ]);
});

test('who does not lead keeps no more than ten thousand of half a minute, and counts what may be on no record', () => {
  const { clock, log, state, names, results } = replica();
  log.seen(change('long ago'));
  clock.advance(30_000);
  for (let at = 0; at < 10_002; at++) log.seen(change(String(at)));
  state.leads = true;
  log.lead();
  expect([names().length, names()[0], names().at(-1)]).toEqual([10_000, '2', '10001']);
  expect(results.filter((result) => result === 'grant lost')).toHaveLength(2);
  log.lead();
  expect(results).toHaveLength(10_002);
});

test('what was not kept is not counted once the last leader had its time', () => {
  const { clock, log, state, results } = replica();
  for (let at = 0; at < 10_001; at++) log.seen(change(String(at)));
  clock.advance(30_000);
  state.leads = true;
  log.lead();
  expect(results).toEqual([]);
});

test('a record that takes nothing keeps nothing from being decided, and the loss is counted', () => {
  const { log, state, results, names } = replica();
  state.fails = true;
  log.made(change('ml/a'));
  state.fails = false;
  log.made(change('ml/b'));
  expect([results, names()]).toEqual([['grant lost', 'grant recorded'], ['ml/b']]);
});
