import { expect, test } from '@jest/globals';
import type { KubeObject } from '../../kube/index.ts';
import { fakeCache } from '../testing/fake-state.ts';
import type { Change } from './changes.ts';
import { changedAt, startStepRecord } from './step-record.ts';

const now = Date.UTC(2026, 0);
const ago = (ms: number): string => new Date(now - ms).toISOString();

interface Light {
  readonly uid: string;
  readonly name: string;
  readonly steps: readonly { readonly step: string; readonly at: number }[];
}
const light = (raw: KubeObject): Light => {
  const { metadata, steps } = raw as KubeObject & { readonly steps: readonly (readonly [string, string])[] };
  return {
    uid: metadata.uid ?? '',
    name: metadata.name,
    steps: steps.map(([step, at]) => ({ step, at: Date.parse(at) })),
  };
};

function record() {
  const cache = fakeCache(light);
  const told: string[] = [];
  const stop = startStepRecord<Light>({
    cache,
    now: () => now,
    changes: { seen: ({ name, step }) => void told.push(`${name} ${step}`) },
    steps: (after, before) => after.steps.slice(before?.steps.length ?? 0),
    changeOf: ({ name, uid }, step): Change => ({ what: 'grant', step, name: `${name}@${uid}`, caller: null }),
    onGone: ({ name, uid }) => void told.push(`${name}@${uid} gone`),
  });
  const put = (uid: string, ...steps: readonly (readonly [string, string])[]): void =>
    cache.put({ metadata: { name: 'a', uid }, steps });
  return { cache, told, stop, put };
}

test('of the first list the steps of the last two minutes are told, and those without a time', () => {
  const { told, put } = record();
  put('1', ['old', ago(120_001)], ['just', ago(120_000)], ['by a clock that is ahead', ago(-60_000)], ['when', 'ever']);
  expect(told).toEqual(['a@1 just', 'a@1 by a clock that is ahead', 'a@1 when']);
});

test('then each step is told once, however old, and all that was jumped over', async () => {
  const { told, put, stop } = record();
  await Promise.resolve();
  put('1', ['opened', ago(200_000)]);
  put('1', ['opened', ago(200_000)]);
  put('1', ['opened', ago(200_000)], ['approved', ago(190_000)], ['used', ago(180_000)]);
  expect(told).toEqual(['a@1 opened', 'a@1 approved', 'a@1 used']);
  stop();
  put('1', ['opened', ago(200_000)], ['approved', ago(190_000)], ['used', ago(180_000)], ['more', ago(0)]);
  expect(told).toHaveLength(3);
});

test('one of the same name that came in between is another, and the first is gone', async () => {
  const { cache, told, put } = record();
  await Promise.resolve();
  put('1', ['opened', ago(0)]);
  put('2', ['opened', ago(0)]);
  cache.remove('a');
  expect(told).toEqual(['a@1 opened', 'a@1 gone', 'a@2 opened', 'a@2 gone']);
});

test('a status was last written when the API server says, or at the latest other time that is one', () => {
  const managedFields = [
    { time: ago(0) },
    { subresource: 'scale', time: ago(0) },
    { subresource: 'status', time: ago(9_000) },
    { subresource: 'status', time: ago(5_000) },
    { subresource: 'status' },
  ];
  expect(changedAt({ name: 'a', managedFields })).toBe(now - 5_000);
  expect(changedAt({ name: 'a', managedFields }, undefined, 'never', ago(4_000), ago(8_000))).toBe(now - 4_000);
  expect(changedAt({ name: 'a' })).toBe(0);
});
