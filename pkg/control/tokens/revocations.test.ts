import { expect, test } from '@jest/globals';
import { silentLogger } from '../../base/index.ts';
import type { KubeClient } from '../../kube/index.ts';
import { fakeClock } from '../../../test/support/fake-clock.ts';
import { createFrameReader, encodeFrame, isTaken, maxDownBytes, readDownMessage } from '../../wire/index.ts';
import type { DownMessage } from '../../wire/index.ts';
import { createRevocationFrames } from '../stream/encoded.ts';
import { createRevocations, revocationsFact, unmatchedKeys } from './revocations.ts';

/** As much as the API server takes in a ConfigMap: the sum of its keys and values, bytes. */
const fullBytes = 1_048_576;
const digits = '0123456789abcdefghijklmnopqrstuvwxyz';

/** Keys of a ConfigMap, the shortest first. */
function* keys(): Generator<string> {
  for (const one of digits) yield one;
  for (const before of keys()) for (const one of digits) yield `${before}${one}`;
}

/** A list that has room for no further such entry. */
function fullList(entry: string): Record<string, string> {
  const data: Record<string, string> = {};
  let bytes = 0;
  for (const key of keys()) {
    bytes += key.length + Buffer.byteLength(entry);
    if (bytes > fullBytes) break;
    data[key] = entry;
  }
  return data;
}

const factOf = (data: Record<string, string>) =>
  revocationsFact({ metadata: { name: 'sidegate-revocations', resourceVersion: '7' }, data } as never);

test.each([
  ['the shortest entries', '{"issuer":"a","subject":"b","until":"9"}', 24_000],
  [
    'entries as they are written',
    `{"issuer":"https://idp.example.com","tokenId":"${'7'.repeat(32)}","until":"2099-01-01T00:00:00.000Z"}`,
    7_000,
  ],
  ['entries that grow in JSON', `{"issuer":"a","subject":"${'\u2028'.repeat(300)}","until":"2099-01-01"}`, 1_000],
])('a full list of %s is sent whole', (_what, entry, least) => {
  const data = fullList(entry);
  const { revocations, broken, bytes } = factOf(data);
  expect([revocations.length, broken]).toEqual([Object.keys(data).length, []]);
  expect(revocations.length).toBeGreaterThan(least);
  expect(bytes).toBeGreaterThan(fullBytes - 2_000);
  const frame = createRevocationFrames()({
    revocations: () => revocations,
    seen: () => ({ revocations: '7' }),
    subscribe: () => () => undefined,
  });
  const read: DownMessage[] = [];
  createFrameReader({ maxBytes: maxDownBytes, onFrame: (root) => void read.push(readDownMessage(root)!) }).push(frame!);
  expect(read).toMatchObject([{ type: 'revocations', revocations: { length: revocations.length } }]);
});

test('an end before 1970 is one, and keeps no other entry from sidecars', () => {
  const over = '{"issuer":"a","subject":"b","until":"1969-12-31"}';
  const { revocations, broken } = factOf({ over });
  expect([revocations, broken]).toEqual([[{ issuer: 'a', subject: 'b', until: 0 }], []]);
  expect(isTaken(encodeFrame({ type: 'revocations', optional: true, revocations, seen: {} }))).toBe(true);
});

test('what cannot be understood is counted by its key, and revokes nothing', () => {
  const good = '{"issuer":"a","subject":"b","until":"2099-01-01"}';
  const long = JSON.stringify({ issuer: 'a', subject: 's'.repeat(1_025), until: '2099-01-01' });
  const both = '{"issuer":"a","subject":"b","tokenId":"c","until":"2099-01-01"}';
  const { revocations, broken, byKey } = factOf({
    good,
    long,
    both,
    odd: 'nobody',
    never: '{"issuer":"a","subject":"b"}',
  });
  expect([revocations.length, [...byKey.keys()], broken]).toEqual([1, ['good'], ['long', 'both', 'odd', 'never']]);
});

test('entries whose issuer no provider has are told, while they hold and once it is known', () => {
  const entry = (issuer: string, until: string) => JSON.stringify({ issuer, subject: 'b', until });
  const fact = factOf({
    good: entry('https://idp', '2099-01-01'),
    typo: entry('https://ipd', '2099-01-01'),
    over: entry('https://ipd', '2001-01-01'),
  });
  const asked: string[] = [];
  const knows = (issuer: string): boolean => asked.push(issuer) > 0 && issuer === 'https://idp';
  expect(unmatchedKeys(fact, knows, Date.UTC(2026, 0))).toEqual(['typo']);
  expect(asked).toEqual(['https://idp', 'https://ipd']);
  expect(unmatchedKeys(fact, () => undefined, Date.UTC(2026, 0))).toBeUndefined();
});

test('the leader writes them beside the list, once, for whoever reads it', async () => {
  const clock = fakeClock({ now: Date.UTC(2026, 0) });
  const entry = (issuer: string) => JSON.stringify({ issuer, subject: 'b', until: '2099-01-01' });
  let list: object = {
    metadata: { name: 'sidegate-revocations', resourceVersion: '7' },
    data: { good: entry('https://idp'), typo: entry('https://ipd') },
  };
  const bodies: object[] = [];
  const client = {
    page: () => Promise.resolve({ items: [list], resourceVersion: '7', continueToken: undefined }),
    watch: (_: string, { signal }: { signal: AbortSignal }) =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('stopped')))),
    patch: (_resource: unknown, _ref: unknown, { body }: { body: object }) => Promise.resolve(bodies.push(body)),
  } as unknown as KubeClient;
  const sweep = async (): Promise<number | undefined> => {
    const revocations = createRevocations({
      client,
      clock,
      logger: silentLogger,
      namespace: 'sidegate-system',
      knowsIssuer: (issuer) => issuer === 'https://idp',
    });
    await revocations.sweep();
    const { unmatched } = revocations.fill() ?? {};
    await revocations.stop();
    return unmatched;
  };
  expect(await sweep()).toBe(1);
  const annotations = { 'sidegate.dev/unmatched': '["typo"]' };
  expect(bodies.splice(0)).toEqual([{ metadata: { annotations } }]);
  list = { ...list, metadata: { name: 'sidegate-revocations', resourceVersion: '8', annotations } };
  expect(await sweep()).toBe(1);
  expect(bodies).toEqual([]);
  list = { ...list, data: { good: entry('https://idp') } };
  expect(await sweep()).toBe(0);
  expect(bodies).toEqual([{ metadata: { annotations: { 'sidegate.dev/unmatched': null } } }]);
});
