import { describe, expect, test } from '@jest/globals';
import { parseJson } from '../../base/index.ts';
import type { LogEntry } from '../../record/index.ts';
import { changeEvent } from './change-event.ts';
import { entryEvent, sessionEvent, shippedStart } from './event.ts';
import type { ShippedEvent } from './event.ts';
import { processEvent } from './process-event.ts';

// What receivers sort events by: the names that the Elastic Common Schema and OpenTelemetry's conventions have for it.

const source = 'spiffe://cluster.local/ns/ml/sa/default/pod/uid-1';
const place = { entry: 7, at: Date.UTC(2026, 10, 26, 12) };
const node = (value: unknown) => parseJson(JSON.stringify(value));
const session = (start: object, end: object = {}): ShippedEvent =>
  sessionEvent(
    node({ session: 'a'.repeat(32), outcome: 'completed', ...end }),
    shippedStart(node(start)),
    source,
    place,
  );

/** One of each type that is none of lines: a new one has to be added here, and told. */
const entries: Readonly<Record<Exclude<LogEntry['type'], 'block'>, object>> = {
  conflict: { source, what: 'changed' },
  hole: { source, why: 'missing' },
  vanished: { source, stored: 1, known: 2 },
  share: { namespace: 'ml', what: 'deferred', held: 2, share: 1 },
  read: { who: 'eve', what: 'search', question: '{}' },
  hold: { who: 'eve', what: 'placed' },
  deleted: { why: 'retention' },
  retention: {},
  authorities: {},
  ship: { who: 'eve', receiver: 'siem' },
  clock: { clock: 1 },
};
const told = (type: string, more: object): ShippedEvent | undefined =>
  entryEvent(JSON.stringify({ v: 1, type, at: place.at, ...more }), place.entry);

describe('an entry of the log', () => {
  test.each(Object.entries(entries))('of type %s is an event', (type, more) => {
    expect(told(type, more)).toMatchObject({ entry: 7, id: 'entry-7', at: place.at, action: `record.${type}` });
  });

  test('that lines of a namespace wait is an alert, and that they are taken again is none', () => {
    const share = { namespace: 'ml', held: 2, share: 1 };
    expect(told('share', { ...share, what: 'deferred' })).toMatchObject({
      severity: 'alert',
      message: expect.stringContaining('wait'),
      fields: { 'event.kind': 'alert', 'orchestrator.namespace': 'ml', 'sidegate.record': { held: 2, share: 1 } },
    });
    expect(told('share', { ...share, what: 'resumed' })).toMatchObject({
      severity: 'info',
      message: expect.stringContaining('taken again'),
    });
  });

  test('that a question was refused says so, and not that somebody read', () => {
    expect(told('read', { who: 'eve', what: 'refused', question: '403 not_allowed: GET /v1/log' })).toMatchObject({
      severity: 'warning',
      action: 'record.refused',
      message: 'a question about the record was refused',
      fields: { 'event.type': ['access', 'denied'], 'event.outcome': 'failure', 'user.name': 'eve' },
    });
  });
});

test('types of events are those that ECS expects of their category', () => {
  const expected: Readonly<Record<string, readonly string[]>> = {
    api: 'access admin allowed change creation deletion denied end info start user'.split(' '),
    configuration: 'access change creation deletion info'.split(' '),
    iam: 'admin change creation deletion group info user'.split(' '),
    process: 'access change end info start'.split(' '),
  };
  const all = [
    session({ operation: 'Chat' }),
    session({ operation: 'Chat' }, { outcome: 'refused' }),
    changeEvent(node({ what: 'grant', step: 'denied' }), source, place),
    ...['start', 'stop', 'gap', 'clock_step'].map((what) => processEvent(node({ what }), source, place)),
    ...Object.entries(entries).map(([type, more]) => told(type, more)),
  ];
  for (const event of all) {
    const [[category] = [], types] = [
      event?.fields['event.category'] as string[] | undefined,
      event?.fields['event.type'] as string[] | undefined,
    ];
    // Access to the record is denied, too, for which ECS has no category beside that of calls.
    expect({ category, unknown: types?.filter((type) => !expected[category ?? '']?.includes(type)) }).toEqual({
      category,
      unknown: [],
    });
  }
});

test.each([
  ['openai', 'openai'],
  ['openai-responses', 'openai'],
  ['openai-realtime', 'openai'],
  ['anthropic', 'anthropic'],
  ['bedrock', 'aws.bedrock'],
  ['gemini', 'gcp.gemini'],
  ['cohere', 'cohere'],
  ['ollama', 'ollama'],
])('what speaks as %s is of the provider %s', (dialect, provider) => {
  expect(session({ operation: 'Chat', dialect }).fields['gen_ai.provider.name']).toBe(provider);
  expect(session({ operation: 'ListModels', dialect }).fields).not.toHaveProperty('gen_ai.provider.name');
});
