import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { silentLogger } from '../base/index.ts';
import { compileRevocations } from '../core/index.ts';
import type { Revocation } from '../core/index.ts';
import { createRemoteRevocations } from './revocations.ts';
import { openStateFolder } from './state-file.ts';

let folder = '';
let events: string[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sidegate-revocations-'));
  events = [];
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const subject: Revocation = { issuer: 'https://idp', subject: 'ana', until: 10 };
const token: Revocation = { issuer: 'https://idp', tokenId: 'x', until: 20 };
const open = (pod = 'pod-1', at = folder, state = openStateFolder(at, pod)) =>
  createRemoteRevocations({
    state,
    logger: silentLogger,
    onUnwritable: () => void events.push('unwritable'),
    onRefused: () => void events.push('refused'),
    onStale: () => void events.push('stale'),
  });
const message = (version: string, ...revocations: Revocation[]) =>
  ({ type: 'revocations', optional: true, revocations, seen: { revocations: version } }) as const;

test('takes the whole list and tells of it; a listener that fails keeps it from nobody', () => {
  const remote = open();
  const told: number[] = [];
  remote.source.subscribe(() => {
    throw new Error('broken');
  });
  const stop = remote.source.subscribe(() => told.push(remote.source.current()?.length ?? -1));
  expect(remote.take(message('10', subject, token))).toBe(true);
  expect(remote.source.current()).toEqual([subject, token]);
  expect(remote.take(message('11', token))).toBe(true);
  stop();
  remote.take(message('12'));
  expect(told).toEqual([2, 1]);
  expect(remote.source.current()).toEqual([]);
});

test('a process that starts again has them, without any controller', () => {
  open().take(message('10', subject, token));
  expect(open().source.current()).toEqual([subject, token]);
  expect(events).toEqual([]);
});

test('a controller that lags takes none back, also not from a process that is new', () => {
  open().take(message('10', subject));
  const restarted = open();
  expect(restarted.take(message('9'))).toBe(false);
  expect(restarted.take({ ...message('9'), seen: {} })).toBe(false);
  expect(restarted.source.current()).toEqual([subject]);
  expect(restarted.take(message('10'))).toBe(true);
  expect(events).toEqual(['stale', 'stale']);
});

test('of another pod’s and a broken one nobody is let in until a controller speaks; one that cannot be written holds in memory', () => {
  open().take(message('10', subject));
  expect(open('pod-2').source.current()).toBeUndefined();
  writeFileSync(join(folder, 'revocations.json'), 'nonsense');
  const unread = open();
  expect(unread.source.current()).toBeUndefined();
  expect(compileRevocations(unread.source.current()).revokes({ issuer: 'https://idp', subject: 'bob' }, 0)).toBe(true);
  unread.take(message('10', subject));
  expect(compileRevocations(unread.source.current()).revokes({ issuer: 'https://idp', subject: 'bob' }, 0)).toBe(false);
  rmSync(join(folder, 'revocations.json'));
  writeFileSync(join(folder, 'revocations.json'), 'nonsense');
  const nowhere = open('pod-1', join(folder, 'revocations.json'));
  expect(nowhere.take(message('10', subject))).toBe(true);
  expect(nowhere.source.current()).toEqual([subject]);
  expect(events).toEqual(['refused', 'refused', 'refused', 'unwritable']);
});

test('a list for which there is no room is not replaced by the one before it: nobody is let in after a restart, nor by a controller that lags', () => {
  open().take(message('10', subject));
  const state = openStateFolder(folder, 'pod-1');
  /** As a volume with room for so many bytes more. */
  const with600 = (name: string, content: unknown): boolean =>
    JSON.stringify(content).length < 600 && state.write(name, content);
  const many = Array.from({ length: 20 }, (_, at): Revocation => ({ ...token, tokenId: `${at}` }));
  const remote = open('pod-1', folder, { ...state, write: with600 });
  expect(remote.take(message('11', subject, ...many))).toBe(true);
  expect(remote.source.current()).toHaveLength(21);
  expect(events).toEqual(['unwritable']);
  const restarted = open();
  expect(restarted.source.current()).toBeUndefined();
  expect(restarted.take(message('10', subject))).toBe(false);
  expect(restarted.source.current()).toBeUndefined();
  expect(restarted.take(message('11', subject, ...many))).toBe(true);
  expect(open().source.current()).toHaveLength(21);
});

test('where there is room for one of two lists, it is the new one', () => {
  open().take(message('10', subject));
  const state = openStateFolder(folder, 'pod-1');
  let tries = 0;
  const second = (name: string, content: unknown): boolean => tries++ > 0 && state.write(name, content);
  open('pod-1', folder, { ...state, write: second }).take(message('11', token));
  expect(open().source.current()).toEqual([token]);
  expect(events).toEqual([]);
});
